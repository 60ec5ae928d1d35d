"""What the process is doing, kept on disk so that ``rke2 status`` can tell at any moment, even after a crash."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from rke2.host.files import ensure_dir, write_atomic
from rke2.lifecycle.service import Finished

log = logging.getLogger(__name__)

MODE = 0o640
"""Of the state file: it names nodes, addresses and the last words of components."""

State = Literal["pending", "running", "done", "failed", "cancelled"]

MOST_WAITS = 40
"""Of one phase. A phase that waits for hours says the same few things again and again."""


class Wait(msgspec.Struct, frozen=True):
    """What a phase waited for from `at` on, in seconds since the process started."""

    at: float
    text: str


class Span(msgspec.Struct, omit_defaults=True):
    """What a boot did besides its phases, in seconds since the process started.

    Args:
        kind: ``images``: an archive was imported; ``service``: it was up from `started` on.
        ended: None while it goes on, and of a service.
    """

    kind: Literal["images", "service"]
    name: str
    started: float
    ended: float | None = None


class PhaseStatus(msgspec.Struct, omit_defaults=True):
    """One phase. Times are seconds since the process started; `waits` are its details, one after the other."""

    name: str
    state: State = "pending"
    requires: list[str] = msgspec.field(default_factory=list)
    waits_for: str = ""
    detail: str = ""
    started: float | None = None
    ended: float | None = None
    waits: list[Wait] = msgspec.field(default_factory=list)

    @property
    def seconds(self) -> float | None:
        if self.started is None or self.ended is None:
            return None
        return self.ended - self.started


class BalancedServer(msgspec.Struct, omit_defaults=True, frozen=True):
    """A server as a load balancer of this node sees it.

    Args:
        address: ``host:port``.
        state: such as ``ACTIVE`` (`rke2.loadbalancer.balancer.State`).
        connections: open through it.
    """

    address: str
    state: str
    connections: int = 0


class ConnectionStatus(msgspec.Struct, omit_defaults=True, frozen=True):
    """Who is connected to this node, and to whom it is.

    Args:
        agents: on a server, the nodes whose tunnel ends here, with the number of their sessions.
        tunnels: the servers (hosts) to whose supervisors a tunnel of this node is open.
        load_balancers: the servers of each, by its name.
    """

    agents: dict[str, int] = {}
    tunnels: list[str] = []
    load_balancers: dict[str, list[BalancedServer]] = {}


ServiceState = Literal["starting", "running", "failing", "failed", "done", "stopped"]


class ServiceStatus(msgspec.Struct, omit_defaults=True, frozen=True):
    """A service (`rke2.lifecycle.service`) as the operator sees it.

    Args:
        state: ``failing``: it ended and is being started again. ``failed``: it ended and stays away.
        failures: how often it has ended although nobody told it to.
        error: why it ended; empty while it runs.
    """

    state: ServiceState = "starting"
    failures: int = 0
    error: str = ""

    @property
    def ill(self) -> bool:
        return self.state in ("failing", "failed")


class SnapshotSchedule(msgspec.Struct, omit_defaults=True, frozen=True):
    """The scheduled snapshots of etcd.

    Args:
        directory: where they are put.
        expression: the cron expression, in `zone`.
        next: Unix time; 0 while none are scheduled.
        next_drill: likewise, of the next trial with the newest one.
        store: where they are copied to, such as ``s3://bucket/folder``, and at which endpoint; empty for nowhere.
    """

    directory: str
    expression: str = ""
    zone: str = ""
    next: float = 0.0
    next_drill: float = 0.0
    store: str = ""


class ProcessStatus(msgspec.Struct, omit_defaults=True):
    """The state file.

    Args:
        started: Unix time in seconds.
        silent: which listener of this node does not answer the node itself, and why.
        ended: components of this process that ended and are being started again, with their last words.
        services: what lasts as long as the node, by name.
        spans: what else the boot did until it was ready.
        snapshots: None on a node without an etcd member.
        troubles: what does not keep the node from working and needs the operator, by what it is about.
        etcd_held: the version of etcd that this server goes on with although its release brings a later one.
        programs: where programs come from that are called on the host (`rke2.host.programs.summary`).
        program: the one file that this process was started from; empty if it was not.
    """

    role: str
    version: str
    pid: int
    started: float
    phases: list[PhaseStatus] = msgspec.field(default_factory=list)
    ready: bool = False
    ready_after: float | None = None
    stopping: bool = False
    error: str = ""
    remedy: str = ""
    silent: str = ""
    ended: dict[str, str] = {}
    troubles: dict[str, str] = {}
    programs: dict[str, list[str]] = {}
    program: str = ""
    connections: ConnectionStatus = ConnectionStatus()
    services: dict[str, ServiceStatus] = {}
    spans: list[Span] = msgspec.field(default_factory=list)
    snapshots: SnapshotSchedule | None = None
    etcd_held: str = ""


def own_file() -> str:
    """The one file that this process was started from, by its path then; empty if there is none."""
    return str(sys._xoptions.get("onefile") or "")


def read_status(path: Path) -> ProcessStatus | None:
    """The last state a process wrote to `path`, or None if there is none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=ProcessStatus)
    except (OSError, msgspec.DecodeError):
        return None


class Progress:
    """Records phases as they pass and writes each change to the state file.

    Args:
        path: the state file; its directory is made.
    """

    def __init__(self, path: Path, role: str, version: str) -> None:
        self._path = path
        self._t0 = time.monotonic()
        self.status = ProcessStatus(
            role=role, version=version, pid=os.getpid(), started=time.time(), program=own_file()
        )

    def plan(self, phases: list[PhaseStatus]) -> None:
        """Announce all phases of the boot."""
        self.status.phases = phases
        self.write()

    @contextmanager
    def running(self, name: str, waits_for: str) -> Iterator[None]:
        """Mark the phase as running inside the block, as done or failed after it."""
        phase = self._phase(name)
        phase.state, phase.waits_for, phase.started = "running", waits_for, self.elapsed()
        self.write()
        log.info("%s: started", name)
        try:
            yield
        except BaseException as error:
            finished = isinstance(error, Finished)
            phase.state = "cancelled" if _is_cancellation(error) else "done" if finished else "failed"
            phase.ended = self.elapsed()
            self.write()
            raise
        phase.state, phase.ended, phase.detail = "done", self.elapsed(), ""
        self.write()
        log.info("%s: done after %.1f s", name, phase.seconds or 0.0)

    def detail(self, name: str, text: str) -> None:
        """Say what a running phase is waiting for right now; nothing is written if it did not change."""
        phase = self._phase(name)
        if phase.detail != text:
            phase.detail = text
            if len(phase.waits) < MOST_WAITS:
                phase.waits.append(Wait(self.elapsed(), text))
            log.info("%s: %s", name, text)
            self.write()

    @contextmanager
    def importing(self, archive: str) -> Iterator[None]:
        """Note when the import of `archive` began and ended, if that is part of the boot."""
        span = Span("images", archive, self.elapsed())
        self._note(span)
        try:
            yield
        finally:
            span.ended = self.elapsed()

    def _note(self, span: Span) -> None:
        # Of the boot alone: a node that runs for years imports often, and each change of the state writes it all.
        if self.status.ready_after is None:
            self.status.spans.append(span)

    def ended(self, component: str, last_words: str) -> None:
        """Say that a component has ended; with empty words, that it runs again."""
        now = _told(self.status.ended, component, last_words)
        if now != self.status.ended:
            self.status.ended = now
            self.write()

    def service(self, name: str, status: ServiceStatus) -> None:
        """Say what became of a service; written at once if it is ill or was, else with the next change."""
        before = self.status.services.get(name, ServiceStatus())
        if status.state == "running" and name not in self.status.services:
            self._note(Span("service", name, self.elapsed()))
        self.status.services = {**self.status.services, name: status}
        if status.ill or before.ill:
            self.write()

    def trouble(self, about: str, words: str) -> None:
        """Say what the operator has to see to; with empty words, that it is well again."""
        now = _told(self.status.troubles, about, words)
        if now != self.status.troubles:
            self.status.troubles = now
            self.write()

    def etcd_held(self, version: str) -> None:
        """Say that this server goes on with that version of etcd for now."""
        self.status.etcd_held = version

    def snapshots(self, schedule: SnapshotSchedule) -> None:
        """Say where snapshots of etcd are put, and when the next one is due."""
        before = self.status.snapshots
        if before and not schedule.next_drill:
            schedule = msgspec.structs.replace(schedule, next_drill=before.next_drill)
        if schedule != before:
            self.status.snapshots = schedule
            self.write()

    def next_drill(self, when: float) -> None:
        """Say when a snapshot is verified next."""
        if self.status.snapshots:
            self.snapshots(msgspec.structs.replace(self.status.snapshots, next_drill=when))

    def programs(self, summary: dict[str, list[str]]) -> None:
        """Say where the programs come from that components call on the host."""
        self.status.programs = summary
        self.write()

    def ready(self) -> None:
        self.status.ready, self.status.ready_after = True, self.elapsed()
        self.write()

    def silent(self, reason: str) -> None:
        """Say that the node does not answer itself and so is not ready; with an empty text, that it does again."""
        if reason != self.status.silent:
            self.status.silent = reason
            self.status.ready = not reason and self.status.ready_after is not None
            self.write()

    def stopping(self) -> None:
        self.status.ready, self.status.stopping = False, True
        self.write()

    def failed(self, error: str, remedy: str) -> None:
        """Keep the reason of the end, for ``rke2 status`` after it."""
        self.status.ready, self.status.error, self.status.remedy = False, error, remedy
        self.write()

    async def follow_connections(self, look: Callable[[], ConnectionStatus], interval: float = 1.0) -> None:
        """Keep the state file in step with the node's connections, until cancelled.

        Args:
            look: collects them; called every `interval` seconds in the event loop, so it must not take time.
        """
        import asyncio

        while True:
            now = look()
            if now != self.status.connections:
                self.status.connections = now
                self.write()
            await asyncio.sleep(interval)

    def elapsed(self) -> float:
        return round(time.monotonic() - self._t0, 3)

    def write(self) -> None:
        try:
            ensure_dir(self._path.parent)
            write_atomic(self._path, msgspec.json.encode(self.status), MODE)
        except OSError as error:
            log.warning("cannot write the state file %s: %s", self._path, error.strerror)

    def _phase(self, name: str) -> PhaseStatus:
        return next(phase for phase in self.status.phases if phase.name == name)


def _told(before: dict[str, str], about: str, words: str) -> dict[str, str]:
    others = {name: said for name, said in before.items() if name != about}
    return {**others, about: words} if words else others


# asyncio is imported where it is needed: ``rke2 status`` only reads the file, and it is a quarter of its start.
def _is_cancellation(error: BaseException) -> bool:
    from asyncio import CancelledError

    return isinstance(error, CancelledError)
