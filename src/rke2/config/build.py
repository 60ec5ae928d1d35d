"""From flags, files and environment to the node's configuration: one function, nothing is written.

Read from the top: `build_config` is the order in which an operator's input is checked.
"""

from __future__ import annotations

import grp
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rke2.config import cni, selection
from rke2.config.collisions import check_collisions
from rke2.config.commandline import CommandLine
from rke2.config.components import check_arguments, component_settings
from rke2.config.flag import Command
from rke2.config.gone import refuse_gone
from rke2.config.helm_jobs import helm_jobs
from rke2.config.model import (
    ImageSettings,
    JoinSettings,
    NetworkSettings,
    NodeConfig,
    NodeSettings,
    RuntimeSettings,
    ServerSettings,
)
from rke2.config.network import agent_network, cluster_network
from rke2.config.node import node_settings
from rke2.config.paths import Paths
from rke2.config.redaction import masked_environment
from rke2.config.reset import reset_settings
from rke2.config.settings import Settings, gather
from rke2.config.snapshots import snapshot_settings
from rke2.config.tokens import read_token
from rke2.errors import ConfigError
from rke2.host import addresses
from rke2.host.identity import HostIdentity


def build_config(
    command: Command, typed: CommandLine, environ: Mapping[str, str], host: HostIdentity | None = None
) -> NodeConfig:
    """Read and check everything a node is told.

    Args:
        typed: the parsed command line.
        host: the machine's name and addresses; detected if None.

    Raises:
        ConfigError: something is wrong; nothing on the machine was changed.
        NotSupportedError: a setting of RKE2 that this release does not implement.
    """
    settings = gather(command, typed, environ)
    check_arguments(settings)
    refuse_gone(settings)
    _check_roles(settings)
    paths = Paths(data_dir=_path(settings, "data-dir"))
    node = node_settings(settings, host or HostIdentity.detect(), paths.node_config_dir / "id")
    network = _network(settings, node)
    config = NodeConfig(
        role=command,
        paths=paths,
        node=node,
        network=network,
        images=_images(settings),
        runtime=_runtime(settings),
        components=component_settings(settings),
        kubelet_args=settings.items("kubelet-arg"),
        profile=_profile(settings),
        debug=settings.on("debug"),
        supervisor_metrics=command == "server" and settings.on("supervisor-metrics"),
        server=_server(settings, network, paths) if command == "server" else None,
        join=_join(settings, paths),
        argv=settings.argv,
        environ=masked_environment(environ),
    )
    check_collisions(config)
    return config


def _profile(settings: Settings) -> str:
    name = settings.text("profile")
    if settings.command == "agent" and name == "etcd":
        raise settings.invalid("profile", name, "an agent has no etcd", "remove it, or set profile: cis")
    return name


def _network(settings: Settings, node: NodeSettings) -> NetworkSettings:
    if settings.command == "agent":
        return agent_network(settings, node.ips)
    network = cluster_network(settings, node.ips, node.external_ips)
    return replace(
        network,
        cni=selection.cni_plugins(settings),
        ingress_controllers=selection.ingress_controllers(settings),
        ingress_by_default=not settings.items("ingress-controller"),
    )


def _images(settings: Settings) -> ImageSettings:
    return ImageSettings(
        runtime=settings.text("runtime-image"),
        pause=settings.text("pause-image"),
        helm_job=_helm_job(settings) if settings.command == "server" else "",
        system_default_registry=_default_registry(settings),
        airgap_extra_registries=settings.items("airgap-extra-registry"),
        private_registry=_path(settings, "private-registry"),
        disable_default_registry_endpoint=settings.on("disable-default-registry-endpoint"),
    )


def _helm_job(settings: Settings) -> str:
    """``helm-job-image`` is the older of both settings."""
    return helm_jobs(settings).image or settings.text("helm-job-image")


def _default_registry(settings: Settings) -> str:
    """An agent takes it from its server, so its own setting does not count.

    In small letters, as registries.yaml is read: containerd would compare the host of every image with it as text.
    """
    registry = settings.text("system-default-registry").lower()
    if "://" in registry or registry.endswith("/"):
        raise settings.invalid(
            "system-default-registry",
            registry,
            "not the name of a registry",
            "write host[:port][/path] without scheme and final slash",
        )
    return registry if settings.command == "server" else ""


def _runtime(settings: Settings) -> RuntimeSettings:
    return RuntimeSettings(
        snapshotter=settings.text("snapshotter"),
        default_runtime=settings.text("default-runtime"),
        nonroot_devices=settings.on("nonroot-devices"),
        kubelet_path=settings.text("kubelet-path"),
        credential_provider_bin_dir=_path(settings, "image-credential-provider-bin-dir"),
        credential_provider_config=_path(settings, "image-credential-provider-config"),
    )


def _server(settings: Settings, network: NetworkSettings, paths: Paths) -> ServerSettings:
    if not settings.on("secrets-encryption"):
        raise settings.invalid("secrets-encryption", "false", "RKE2 always encrypts Secrets", "remove it")
    return ServerSettings(
        token=read_token(settings, "token"),
        agent_token=read_token(settings, "agent-token"),
        disable=(*settings.items("disable"), *cni.unselected_charts(network.cni)),
        write_kubeconfig=_optional_path(settings, "write-kubeconfig"),
        write_kubeconfig_mode=_mode(settings),
        write_kubeconfig_group=_group(settings),
        secrets_encryption_provider=settings.text("secrets-encryption-provider"),
        audit_policy_file=_optional_path(settings, "audit-policy-file"),
        psa_config_file=_psa_file(settings),
        etcd_expose_metrics=settings.on("etcd-expose-metrics"),
        helm_jobs=helm_jobs(settings),
        snapshots=snapshot_settings(settings),
        reset=reset_settings(settings, paths),
        shared_agent_keys=settings.on("shared-agent-keys"),
    )


# --- joining a cluster -------------------------------------------------------------------------------------
def _join(settings: Settings, paths: Paths) -> JoinSettings | None:
    url = settings.text("server")
    if not url:
        if settings.command == "agent":
            raise ConfigError("an agent needs the URL of a server", "set server to https://<server>:9345")
        return None
    joined = _JOINED[settings.command]
    token = read_token(settings, "token")
    if not token and not any((paths.data_dir / file).exists() for file in joined):
        raise ConfigError(
            f"token is required to join a cluster: {settings.command} has none, and was never joined",
            "set token or token-file to what is in /var/lib/rancher/rke2/server/token on a server",
        )
    return JoinSettings(_server_url(settings, url), token)


_JOINED = {"agent": ("agent/client-kubelet.crt",), "server": ("server/token",)}
"""What a node that has joined its cluster before has in its data directory."""


def _server_url(settings: Settings, url: str) -> str:
    try:
        return addresses.https_url(url)
    except ValueError:
        raise settings.invalid(
            "server", url, "not an https URL", "write it as https://<server>:9345"
        ) from None


def _check_roles(settings: Settings) -> None:
    """Refuse combinations of ``disable-…`` that leave a server without a purpose, or a cluster without data.

    Raises:
        ConfigError: names the flags.
    """
    if settings.command == "agent":
        return
    if settings.on("disable-etcd") and not settings.text("server"):
        raise ConfigError(
            "disable-etcd needs server: a server without etcd uses that of the cluster it joins",
            "set server to https://<server with etcd>:9345, or remove disable-etcd",
        )
    if settings.on("disable-etcd") and settings.on("disable-apiserver"):
        raise ConfigError(
            "disable-etcd and disable-apiserver leave nothing for a server to serve",
            "run this node as an agent (`rke2 agent`), or remove one of them",
        )
    if settings.on("disable-apiserver"):
        for flag in ("disable-controller-manager", "disable-scheduler"):
            if not settings.on(flag):
                raise ConfigError(
                    f"disable-apiserver needs {flag}: they work with the apiserver of their own server",
                    f"add {flag}: true",
                )


# --- files, modes, groups ----------------------------------------------------------------------------------
def _path(settings: Settings, name: str) -> Path:
    text = settings.text(name)
    if not text:
        raise settings.invalid(name, text, "a path is needed")
    return Path(text).absolute()


def _optional_path(settings: Settings, name: str) -> Path | None:
    return _path(settings, name) if settings.text(name) else None


def _psa_file(settings: Settings) -> Path | None:
    path = _optional_path(settings, "pod-security-admission-config-file")
    if path and not path.is_file():
        raise settings.invalid("pod-security-admission-config-file", path, "no such file")
    return path


def _mode(settings: Settings) -> int:
    text = settings.text("write-kubeconfig-mode") or "0600"
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 < mode <= 0o777:
        raise settings.invalid("write-kubeconfig-mode", text, "not an octal file mode", "write it like 0640")
    return mode


def _group(settings: Settings) -> str:
    name = settings.text("write-kubeconfig-group")
    if name and not name.isdecimal():
        try:
            grp.getgrnam(name)
        except KeyError:
            raise settings.invalid("write-kubeconfig-group", name, "this host has no such group") from None
    return name
