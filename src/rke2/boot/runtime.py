"""containerd and the kubelet: configuration written, processes started and watched from then on."""

from __future__ import annotations

import asyncio
import os
import re
from functools import partial
from pathlib import Path

from rke2.boot.node import Node, local_api_port
from rke2.components import containerd_config, kubelet_config
from rke2.components.containerd import Containerd
from rke2.components.kubelet import Kubelet
from rke2.components.logs import LogRotation
from rke2.components.runtimes import find_runtimes
from rke2.config.model import NodeConfig
from rke2.content.registries.hosts_toml import write_hosts
from rke2.content.registries.relayed import relay_for, through
from rke2.content.registries.settings import Registries, load_registries
from rke2.content.runtime.references import image
from rke2.errors import ComponentError
from rke2.host.files import ensure_dir, write_atomic
from rke2.host.ports import require_free
from rke2.lifecycle.logfile import LogFile
from rke2.lifecycle.process import Command
from rke2.lifecycle.service import Policy
from rke2.registry.relay import Relay


def check(node: Node) -> None:
    """See whether the files an administrator wrote for containerd and the arguments for the kubelet can be used.

    Raises:
        ConfigError: one cannot; nothing was written.
    """
    # Rendered for its errors alone: a template that fails is to be told before anything is written.
    _containerd_config(node, load_registries(node.config.images.private_registry))
    if _relay(node.config):
        require_free({relay_port(node.config): "the relay to mirrors with rewrite rules"})
    kubelet_config.log_settings(node.config)


async def containerd(node: Node) -> None:
    """Start containerd with a configuration made for this host; wait for its CRI."""
    paths, log = node.config.paths, LogFile(node.config.paths.containerd_root / "containerd.log")
    relay = _relay(node.config)
    await asyncio.to_thread(_configure_containerd, node, relay)
    if relay:
        # Before containerd, which may pull through it as soon as it runs.
        await relay.start()
        # Told before containerd begins, so that it is closed after containerd has ended.
        node.services.at_the_end("relay to mirrors", relay.close)
    command = Command(
        "containerd",
        [paths.bin / "containerd", *containerd_config.arguments(paths)],
        log,
        environment(node, containerd_config.environment()),
    )
    node.services.begin(LogRotation([log, _kubelet_log(node)]), Policy.RESTART)
    say = partial(node.waiting, "containerd")
    await node.services.start(Containerd(command, lambda: _cri_answers(node, log), say), Policy.END_NODE)


def relay_port(config: NodeConfig) -> int:
    """The relay's port on loopback, below the local API proxy's."""
    return local_api_port(config) - 1


def _relay(config: NodeConfig) -> Relay | None:
    mirrors = load_registries(config.images.private_registry)
    return relay_for(
        mirrors, relay_port(config), disable_default=config.images.disable_default_registry_endpoint
    )


def _configure_containerd(node: Node, relay: Relay | None) -> None:
    config = node.config
    ensure_dir(config.paths.containerd_root)
    mirrors = load_registries(config.images.private_registry)
    write_hosts(
        config.paths.containerd_certs_d,
        mirrors,
        disable_default=config.images.disable_default_registry_endpoint,
        through=partial(through, relay) if relay else lambda host: host,
    )
    containerd_config.write(config, _containerd_config(node, mirrors))
    write_atomic(config.paths.crictl_config, containerd_config.crictl_config(config.paths), 0o644)


def _containerd_config(node: Node, mirrors: Registries) -> str:
    pause = image(node.config, "pause")
    return containerd_config.render(node.config, node.facts, pause, mirrors, find_runtimes())


async def _cri_answers(node: Node, log: LogFile) -> str:
    """Why the CRI does not answer yet.

    Raises:
        ComponentError: it never will.
    """
    if not node.config.paths.containerd_socket.exists():
        return "no socket yet"
    try:
        await node.cri.version()
    except ComponentError as error:
        if _NO_CRI in error.message:
            raise _without_cri(log) from error
        return error.message
    return ""


_NO_CRI = "unknown service runtime.v1.RuntimeService"
_PLUGIN_FAILED = re.compile(r'failed to load plugin" error="([^"]*)" id=io\.containerd\.grpc\.v1\.cri')


def _without_cri(log: LogFile) -> ComponentError:
    """containerd goes on without plugins that cannot be loaded, and loads none later."""
    failed = _PLUGIN_FAILED.findall(log.tail(200))
    reason = failed[-1] if failed else "no reason found"
    inotify = "raise the sysctl fs.inotify.max_user_instances" if "fsnotify" in reason else ""
    return ComponentError(
        f"containerd started without its CRI plugin: {reason}", inotify or f"the whole log is {log.path}"
    )


KUBELET = "kubelet"
"""Name of the service that keeps it."""


async def kubelet(node: Node) -> None:
    """Start the kubelet."""
    config = node.config
    await asyncio.to_thread(_configure_kubelet, node)
    providers = kubelet_config.has_credential_provider(config)
    argv: list[str | Path] = [
        kubelet_config.program(config),
        *kubelet_config.arguments(config, credential_provider=providers),
    ]
    command = Command("kubelet", argv, _kubelet_log(node), environment(node, os.environ))
    # That the kubelet exits is its service's affair; that it cannot be spawned is the node's.
    await node.services.start(Kubelet(command, partial(node.progress.ended, "kubelet")), Policy.END_NODE)


def _configure_kubelet(node: Node) -> None:
    resolv_conf = kubelet_config.choose_resolv_conf(node.config)
    kubelet_config.write(node.config, kubelet_config.configuration(node.config, node.facts, resolv_conf))
    ensure_dir(node.config.paths.pod_manifests, 0o750)


def _kubelet_log(node: Node) -> LogFile:
    settings = kubelet_config.log_settings(node.config)
    return LogFile(settings.file, settings.max_megabytes << 20)


def environment(node: Node, environ: os._Environ[str] | dict[str, str]) -> dict[str, str]:
    """A child's environment: the runtime image's programs come first on its PATH, then those in place of the host's."""
    paths = (node.content.bin, node.config.paths.programs, environ.get("PATH") or os.defpath)
    return {**environ, "PATH": os.pathsep.join(map(str, paths))}
