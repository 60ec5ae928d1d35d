"""A server's boot, from an empty host to READY: `phases` is its table of contents."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from functools import partial

from rke2.boot import cluster, content, control_plane, host, identity, runtime
from rke2.boot.node import Node
from rke2.config.model import NodeConfig
from rke2.errors import HostError, RKE2Error
from rke2.host.facts import HostFacts, detect
from rke2.host.lock import exclusive
from rke2.host.sdnotify import Notifier
from rke2.lifecycle.phases import Phase, run_phases
from rke2.lifecycle.progress import Progress
from rke2.version import VERSION

log = logging.getLogger(__name__)

Step = Callable[[Node], Awaitable[None]]


def phases(node: Node) -> list[Phase]:
    """Every phase of a server's boot: name, what must be done first, what takes its time, how it is done."""
    table: list[tuple[str, tuple[str, ...], str, Step]] = [
        ("host", (), "free ports, usable certificates, kernel modules", host.prepare),
        ("content", ("host",), "the runtime image to be unpacked", content.runtime_image),
        ("certificates", ("content",), "keys and certificates", identity.certificates),
        ("join server", ("certificates",), f"port {9345}", identity.join_server),
        ("charts", ("content",), "the packaged charts to be staged", content.charts),
        ("containerd", ("content",), "its CRI to answer", runtime.containerd),
        ("images", ("containerd",), "image archives to be imported", content.images),
        ("kubelet", ("containerd", "certificates"), "the kubelet to be spawned", runtime.kubelet),
        ("etcd", ("kubelet",), "a healthy member", control_plane.etcd),
        ("kube-apiserver", ("etcd",), "/readyz", control_plane.apiserver),
        ("kube-controller-manager", ("kube-apiserver",), "its image", control_plane.controller_manager),
        ("kube-scheduler", ("kube-apiserver",), "its image", control_plane.scheduler),
        ("kube-proxy", ("kube-apiserver",), "its image", control_plane.proxy),
        ("controllers", ("kube-apiserver", "charts"), "roles and custom resources", cluster.controllers),
        ("node", ("kube-apiserver",), "the node to register", cluster.own_node),
    ]
    disabled = {name for name, settings in node.config.components.items() if settings.disabled}
    return [
        Phase(name, tuple(r for r in requires if r not in disabled), waits_for, partial(step, node))
        for name, requires, waits_for, step in table
        if name not in disabled
    ]


def run_server(config: NodeConfig) -> int:
    """Run a server until it is told to stop.

    Returns:
        The exit code: 0 after SIGTERM or SIGINT.

    Raises:
        RKE2Error: the boot failed, or a component the node cannot live without ended.
    """
    notifier = Notifier()
    with exclusive(config.paths.lock):
        progress = Progress(config.paths.status, "server", VERSION)
        try:
            asyncio.run(_serve(config, detect(), progress, notifier))
        except Exception as group:  # the process ends: `rke2 status` is to know why, whatever it was
            error = first_error(group)
            fault = HostError.of(error) if isinstance(error, OSError) else error
            progress.failed(getattr(fault, "message", repr(fault)), getattr(fault, "remedy", ""))
            if isinstance(fault, RKE2Error):
                raise fault from None
            raise
        return 0


async def _serve(config: NodeConfig, facts: HostFacts, progress: Progress, notifier: Notifier) -> None:
    running = asyncio.create_task(_boot_and_run(config, facts, progress, notifier))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, running, progress, notifier, number)
    try:
        await running
    except asyncio.CancelledError:
        log.info("stopped; the pods of this node go on running")


def _stop(
    running: asyncio.Task[None], progress: Progress, notifier: Notifier, number: signal.Signals
) -> None:
    if progress.status.stopping:
        log.warning("%s again: ending at once", number.name)
        os._exit(1)
    log.info("%s: stopping", number.name)
    notifier.notify(STOPPING=1)
    progress.stopping()
    running.cancel()


async def _boot_and_run(config: NodeConfig, facts: HostFacts, progress: Progress, notifier: Notifier) -> None:
    async with asyncio.TaskGroup() as services:
        node = Node.assemble(config, facts, progress, services)
        await run_phases(phases(node), progress)
        progress.ready()
        notifier.notify(READY=1, STATUS="rke2 is up and running")
        log.info("rke2 is up and running (after %.1f s)", progress.elapsed())


def first_error(error: BaseException) -> BaseException:
    """The error that started it, from the nest of groups that task groups make."""
    return first_error(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
