"""The rke2 process around a boot: one per data directory, ended by signals, its end explained in the state file."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from rke2.boot import trial
from rke2.config.model import NodeConfig
from rke2.errors import InternalError, explained, first_error
from rke2.host.facts import HostFacts, detect
from rke2.host.guard import Guard
from rke2.host.lock import exclusive
from rke2.host.memory import give_back, keep_giving_back, share_one_arena
from rke2.host.sdnotify import Notifier
from rke2.lifecycle.liveness import Liveness, NotAlive
from rke2.lifecycle.phases import Phase, run_phases
from rke2.lifecycle.progress import Progress
from rke2.lifecycle.service import Finished, NodeEnds, Policy
from rke2.lifecycle.services import Services
from rke2.version import VERSION

log = logging.getLogger(__name__)


_ANSWERED = 0.5
"""Seconds between the answer to a request and the new start that follows from it: the answer is on its way by then."""


@dataclass(frozen=True)
class Boot:
    """What the phases of a boot are made from.

    Args:
        services: owner of everything that goes on after its phase.
        liveness: asks what is to answer as long as the node runs.
    """

    config: NodeConfig
    facts: HostFacts
    progress: Progress
    services: Services
    liveness: Liveness


class StartAgain(NodeEnds):
    """Ends a boot, or the node after it, to begin again: what it was started with has changed on disk.

    Pods go on running; containerd and the kubelet are started again.
    """


async def start_again_when(wanted: Awaitable[str]) -> None:
    """A service that begins the node again when a request has asked for it.

    Args:
        wanted: comes to the reason when it is asked for.

    Raises:
        StartAgain: then.
    """
    # Without the shield, a service that is stopped would cancel the future that its next run waits for.
    why = await asyncio.shield(wanted)
    await asyncio.sleep(_ANSWERED)
    raise StartAgain(why)


def run_node(
    role: Literal["server", "agent"], config: NodeConfig, phases: Callable[[Boot], list[Phase]]
) -> int:
    """Run a node until it is told to stop.

    Args:
        phases: makes the table of the boot.

    Returns:
        The exit code: 0 after SIGTERM or SIGINT, or when a phase has raised `Finished`.

    Raises:
        RKE2Error: the boot failed, or a component the node cannot live without ended.
    """
    notifier = Notifier()
    # Before `Guard`, whose thread would get an arena of its own.
    share_one_arena()
    # Around the loop: a node that begins again does not let go of the data directory.
    with exclusive(config.paths.lock), Guard() as guard:
        while True:
            # Another one for each attempt: phases of the last one are not to be shown as this one's.
            progress = Progress(config.paths.status, role, VERSION)
            try:
                asyncio.run(_serve(config, progress, notifier, guard, phases))
                return 0
            except (Exception, BaseExceptionGroup) as group:  # noqa: BLE001 - `rke2 status` is to know why
                error = first_error(group)
                if isinstance(error, Finished):
                    return 0
                if isinstance(error, StartAgain | NotAlive):
                    log.info("starting again: %s", error)
                    continue
                raise _told(error, progress) from None


def _told(error: BaseException, progress: Progress) -> BaseException:
    """What ends the process, never a group; the traceback of what nobody foresaw is in the log."""
    if not isinstance(error, Exception):
        return error
    fault = explained(error)
    if isinstance(fault, InternalError):
        log.error("%s", fault.message, exc_info=fault.__cause__ or error)
    progress.failed(fault.message, fault.remedy)
    return fault


async def _serve(
    config: NodeConfig,
    progress: Progress,
    notifier: Notifier,
    guard: Guard,
    phases: Callable[[Boot], list[Phase]],
) -> None:
    running, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert running is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, running, progress, notifier, number)
    try:
        await _boot_and_run(config, progress, notifier, guard, phases)
    except asyncio.CancelledError:
        # Swallowed: only `_stop` cancels this task, and an end that was asked for is exit code 0.
        log.info("stopped; the pods of this node go on running")


def _stop(
    running: asyncio.Task[None], progress: Progress, notifier: Notifier, number: signal.Signals
) -> None:
    if progress.status.stopping:
        log.warning("%s again: ending at once", number.name)
        # Not sys.exit(), which would clean up first and wait for what hangs.
        os._exit(1)
    log.info("%s: stopping", number.name)
    notifier.notify(STOPPING=1)
    progress.stopping()
    running.cancel()


async def _boot_and_run(
    config: NodeConfig,
    progress: Progress,
    notifier: Notifier,
    guard: Guard,
    phases: Callable[[Boot], list[Phase]],
) -> None:
    services = Services(progress.service)
    liveness = Liveness(progress.silent, notifier.alive, notifier.watchdog, alive=guard.alive)

    async def boot() -> None:
        # Before the phases: it feeds systemd's watchdog while a boot waits for others, however long.
        services.begin(liveness, Policy.RESTART)
        # Likewise: a boot that comes to no end is what a release on trial must not have.
        if trial.is_open(config):
            services.once("upgrade", partial(trial.follow, config, progress), Policy.RESTART)
        await run_phases(phases(Boot(config, detect(), progress, services, liveness)), progress)
        # Only now: that all phases are done does not say that somebody who comes to a port is answered.
        await liveness.first_answer()
        progress.ready()
        name = f"rke2 {'agent ' if config.role == 'agent' else ''}is up and running"
        notifier.notify(READY=1, STATUS=name)
        log.info("%s (after %.1f s)", name, progress.elapsed())
        # After READY: nobody is to wait for it.
        give_back()
        services.keep("memory", keep_giving_back, Policy.DEGRADE)

    await services.run(boot)
