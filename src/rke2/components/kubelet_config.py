"""The kubelet's configuration file and command line (layout reference §4).

What the node decides is in ``kubelet.conf.d/00-rke2-defaults.conf``; drop-ins of the administrator come after it by
name, and ``kubelet-arg`` items, being flags, win over all files.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rke2 import goyaml
from rke2.config import kubernetes
from rke2.config.addresses import any_address, loopback
from rke2.config.model import NodeConfig
from rke2.errors import ConfigError
from rke2.host import resolver
from rke2.host.facts import HostFacts
from rke2.host.files import ensure_dir, write_atomic
from rke2.registry import providers
from rke2.staticpods.arguments import merge, parse_item

log = logging.getLogger(__name__)

DEFAULTS_FILE = "00-rke2-defaults.conf"
CLI_CONFIG_FILE = "10-cli-config.conf"
CLI_CONFIG_DIR = "20-cli-config-dir"

TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")

KLOG_FLAGS = frozenset(
    {
        "add-dir-header",
        "alsologtostderr",
        "log-backtrace-at",
        "log-dir",
        "log-file",
        "log-file-max-size",
        "logtostderr",
        "one-output",
        "skip-headers",
        "skip-log-headers",
        "stderrthreshold",
    }
)
"""Switches the kubelet no longer has. They are taken out of its arguments and obeyed by whoever writes its log."""


@dataclass(frozen=True)
class LogSettings:
    """Where the kubelet's output goes; `max_megabytes` is the size at which the file is rotated."""

    file: Path
    max_megabytes: int = 50
    also_to_stderr: bool = False


def configuration(
    config: NodeConfig, facts: HostFacts, resolv_conf: Path, *, servicelb: bool = False
) -> dict[str, Any]:
    """The KubeletConfiguration.

    Args:
        resolv_conf: as `choose_resolv_conf` found it.
        servicelb: pods of the service load balancer will ask for IP forwarding in their namespace.

    Raises:
        ConfigError: a node taint is malformed.
    """
    agent, network = config.paths.agent, config.network
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": any_address(config) if network.bind_address == "0.0.0.0" else network.bind_address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True, "cacheTTL": "2m0s"},
            "x509": {"clientCAFile": str(agent / "client-ca.crt")},
        },
        "authorization": {
            "mode": "Webhook",
            "webhook": {"cacheAuthorizedTTL": "5m0s", "cacheUnauthorizedTTL": "30s"},
        },
        "cgroupDriver": "systemd" if facts.systemd_cgroups else "cgroupfs",
        "clusterDNS": [str(address) for address in network.cluster_dns],
        "clusterDomain": network.cluster_domain,
        "containerRuntimeEndpoint": f"unix://{config.paths.containerd_socket}",
        "cpuManagerReconcilePeriod": "10s",
        "evictionHard": {"imagefs.available": "5%", "nodefs.available": "5%"},
        "evictionMinimumReclaim": {"imagefs.available": "10%", "nodefs.available": "10%"},
        "evictionPressureTransitionPeriod": "5m0s",
        "failSwapOn": False,
        "fileCheckFrequency": "20s",
        "healthzBindAddress": loopback(config),
        "httpCheckFrequency": "20s",
        "imageMinimumGCAge": "2m0s",
        "nodeStatusReportFrequency": "5m0s",
        "nodeStatusUpdateFrequency": "10s",
        "protectKernelDefaults": config.node.protect_kernel_defaults,
        "resolvConf": str(resolv_conf),
        "runtimeRequestTimeout": "2m0s",
        "serializeImagePulls": False,
        "staticPodPath": str(config.paths.pod_manifests),
        "streamingConnectionIdleTimeout": "4h0m0s",
        "syncFrequency": "1m0s",
        "tlsCertFile": str(agent / "serving-kubelet.crt"),
        "tlsPrivateKeyFile": str(agent / "serving-kubelet.key"),
        "volumeStatsAggPeriod": "1m0s",
        **_conditional(config, facts, servicelb),
    }


def _conditional(config: NodeConfig, facts: HostFacts, servicelb: bool) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if config.node.taints:
        extra["registerWithTaints"] = [parse_taint(taint) for taint in config.node.taints]
    if servicelb:
        versions = {network.version for network in config.network.cluster_cidrs}
        sysctls = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}
        extra["allowedUnsafeSysctls"] = [sysctls[version] for version in sorted(versions)]
    # From 1.35 on the kubelet refuses cgroup v1 unless told otherwise.
    if facts.cgroup_version == 1:
        extra["failCgroupV1"] = False
    if facts.user_namespace:
        extra["featureGates"] = {"KubeletInUserNamespace": True}
    return extra


def parse_taint(text: str) -> dict[str, str]:
    """``key[=value]:Effect`` as a Kubernetes taint.

    Raises:
        ConfigError: no key, or another effect.
    """
    left, _, effect = text.rpartition(":")
    key, _, value = left.partition("=")
    if not key or effect not in TAINT_EFFECTS:
        raise ConfigError(
            f"node-taint {text!r} is malformed",
            f"write it as key=value:Effect with one of {', '.join(TAINT_EFFECTS)}",
        )
    return {"key": key, "value": value, "effect": effect} if value else {"key": key, "effect": effect}


def arguments(
    config: NodeConfig, *, cloud_controller: bool = False, credential_provider: bool = False
) -> tuple[str, ...]:
    """The kubelet's command line without the program.

    Args:
        cloud_controller: a cloud-controller-manager initialises the node; without one it would stay tainted.
        credential_provider: as `has_credential_provider` found it.

    Raises:
        ConfigError: a ``kubelet-arg`` item has no name.
    """
    leading = (
        f"--volume-plugin-dir={config.paths.kubelet_dir / 'volumeplugins'}",
        "--file-check-frequency=5s",
        "--sync-frequency=30s",
    )
    items = [item for item in config.kubelet_args if parse_item(item).key not in _TAKEN_OUT]
    return leading + merge(_defaults(config, cloud_controller, credential_provider), items)


_TAKEN_OUT = KLOG_FLAGS | {"config", "config-dir"}
"""The operator's configuration files are copied among the drop-ins instead (`write`)."""


def _defaults(config: NodeConfig, cloud_controller: bool, credential_provider: bool) -> dict[str, str]:
    paths, node = config.paths, config.node
    args = {
        "config-dir": str(paths.kubelet_conf_dir),
        "hostname-override": node.name,
        "kubeconfig": str(paths.kubelet_kubeconfig),
        "node-ip": ",".join(map(str, node.ips)),
        "read-only-port": "0",
        "root-dir": str(paths.kubelet_dir),
    }
    if kubernetes.of(config.images.runtime).has_flag("kubelet", "containerd"):
        args["containerd"] = str(paths.containerd_socket)
    if node.labels:
        args["node-labels"] = ",".join(node.labels)
    if cloud_controller:
        args["cloud-provider"] = "external"
    if credential_provider:
        args["image-credential-provider-bin-dir"] = str(config.runtime.credential_provider_bin_dir)
        args["image-credential-provider-config"] = str(config.runtime.credential_provider_config)
    return args


def has_credential_provider(config: NodeConfig) -> bool:
    """Whether there are both plugins and a configuration for them: the kubelet fails with only one."""
    runtime = config.runtime
    return providers.usable(runtime.credential_provider_bin_dir, runtime.credential_provider_config)


def log_settings(config: NodeConfig) -> LogSettings:
    """What the old klog switches among the ``kubelet-arg`` items ask for.

    Raises:
        ConfigError: ``log-file-max-size`` is not a number.
    """
    given = _last_values(config.kubelet_args)
    size = given.get("log-file-max-size", "50")
    if not size.isdecimal():
        raise ConfigError(f"kubelet-arg log-file-max-size={size} is not a number of megabytes")
    return LogSettings(
        file=Path(given.get("log-file") or config.paths.kubelet_log),
        max_megabytes=int(size),
        also_to_stderr=any(given.get(flag) == "true" for flag in ("alsologtostderr", "logtostderr")),
    )


def _last_values(items: Iterable[str]) -> dict[str, str]:
    return {item.key: item.value for item in map(parse_item, items)}


def choose_resolv_conf(config: NodeConfig, candidates: tuple[Path, ...] = resolver.CANDIDATES) -> Path:
    """The file pods' DNS settings come from: the flag's, the host's, or one made here.

    The flag's file is taken as it is: the operator who sets it knows the network.

    Raises:
        ConfigError: the flag's file does not exist.
        OSError: the file cannot be made.
    """
    chosen = config.node.resolv_conf
    if chosen and not chosen.is_file():
        raise ConfigError(f"resolv-conf {chosen} does not exist")
    if found := chosen or resolver.find(candidates):
        return found
    made = config.paths.agent_etc / "resolv.conf"
    write_atomic(ensure_dir(made.parent, 0o700) / made.name, resolver.FALLBACK)
    log.warning("no resolv.conf of this host has name servers that pods can reach; pods get %s", made)
    return made


def program(config: NodeConfig) -> Path:
    """The kubelet to run: a path as it is, a bare name from the runtime image's programs, then from ``PATH``."""
    name = config.runtime.kubelet_path
    own = config.paths.bin / name
    if "/" in name or own.exists():
        return own
    return Path(shutil.which(name) or own)


def write(config: NodeConfig, content: dict[str, Any]) -> bool:
    """Write the defaults file and copy the configuration that ``kubelet-arg`` names; True if the defaults changed.

    Raises:
        ConfigError: a file or directory named by ``kubelet-arg`` cannot be copied.
        OSError: the directory is not writable.
    """
    directory = ensure_dir(config.paths.kubelet_conf_dir, 0o700)
    given = _last_values(config.kubelet_args)
    _copy_own(given.get("config", ""), directory / CLI_CONFIG_FILE)
    _copy_own(given.get("config-dir", ""), directory / CLI_CONFIG_DIR)
    return write_atomic(directory / DEFAULTS_FILE, goyaml.dump(content))


def _copy_own(source: str, target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    target.unlink(missing_ok=True)
    try:
        if source and Path(source).is_dir():
            shutil.copytree(source, target)
        elif source:
            shutil.copyfile(source, target)
            target.chmod(0o600)
    except OSError as error:
        raise ConfigError(f"kubelet configuration {source} cannot be copied: {error}") from error
