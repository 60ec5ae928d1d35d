"""What a start of this node makes of an upgrade that has not proven itself.

The one who decides is the program that is started: whoever began the upgrade may be gone, with the power.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from rke2.config.paths import Paths
from rke2.errors import AlreadyRunningError, HostError, RKE2Error, explained
from rke2.host.lock import exclusive, holder
from rke2.installation import journal
from rke2.installation.begin import lock_of, put_back
from rke2.installation.journal import Journal
from rke2.lifecycle.service import NodeEnds

log = logging.getLogger(__name__)

_PATIENCE = 60.0
"""Seconds for whoever exchanges files at this moment."""


class Unproven(RKE2Error, NodeEnds):
    """A release on trial has not proven itself in time."""


class Start(Enum):
    """What to do before anything else."""

    AS_EVER = "nothing: no upgrade is open"
    ON_TRIAL = "start as a release that has to prove itself"
    PUT_BACK = "put the former release back"
    NOTE = "note that an upgrade was cut off before it had exchanged anything, and start as ever"


@dataclass(frozen=True)
class StartVerdict:
    """What a start does, and if it puts the former release back, why."""

    start: Start
    reason: str = ""


def judge(state: Journal | None, own: str) -> StartVerdict:
    """What to do.

    Args:
        own: the version of the program that was started.
    """
    if state and state.step in journal.UNTOUCHED:
        return StartVerdict(Start.NOTE, f"it was cut off at {state.step}; nothing was exchanged")
    if state is None or state.step not in journal.UNPROVEN:
        return StartVerdict(Start.AS_EVER)
    if state.step == "rolling-back":
        return StartVerdict(Start.PUT_BACK, state.reason)
    if state.step == "switching":
        return StartVerdict(Start.PUT_BACK, "it was cut off while files were exchanged")
    if state.started and not state.no_way_back:
        return StartVerdict(Start.PUT_BACK, "it was cut off, or killed, before it had proven itself")
    if own != state.version:
        return StartVerdict(Start.PUT_BACK, f"{own} was started in its place")
    return StartVerdict(Start.ON_TRIAL)


def guarded(data_dir: Path, own: str, start: Callable[[], int]) -> int:
    """Run `start`, a node to its end; if it is on trial and ends by an error, put the former release back.

    Raises:
        HostError: the former release was put back, and has to be started.
    """
    paths = Paths(data_dir=data_dir)
    if judge(journal.read(data_dir), own).start is Start.AS_EVER or holder(paths.lock) is not None:
        return start()  # the second one of two is refused there, and must change nothing here
    if _at_work(paths):
        return start()
    state = _admitted(paths, own)
    return start() if state is None else _tried(paths, state, start)


def _at_work(paths: Paths) -> bool:
    """Whether an upgrade is being prepared at this moment: it does not mind that the node starts."""
    state = journal.read(paths.data_dir)
    return state is not None and state.step in journal.UNTOUCHED and holder(lock_of(paths)) is not None


def _admitted(paths: Paths, own: str) -> Journal | None:
    """The journal of a release that is on trial from now on; None if there is none any more."""
    _wait_for_others(paths)
    with exclusive(lock_of(paths)):
        state = journal.read(paths.data_dir)
        verdict = judge(state, own)
        if state is None or verdict.start is Start.AS_EVER:
            return None
        if verdict.start is Start.NOTE:
            journal.advance(paths.data_dir, state, "failed", reason=verdict.reason)
            return None
        if verdict.start is Start.PUT_BACK:
            raise _rolled_back(paths, state, verdict.reason)
        log.info("%s is on trial: it has %.0f s to prove itself", state.version, state.timeout)
        # Written before anything of the release runs: a start that finds it there knows that this one was cut off.
        return journal.note(paths.data_dir, state, started=True)


def _wait_for_others(paths: Paths) -> None:
    until = time.monotonic() + _PATIENCE
    while holder(lock_of(paths)) is not None and time.monotonic() < until:
        time.sleep(0.2)


def _tried(paths: Paths, state: Journal, start: Callable[[], int]) -> int:
    try:
        code = start()
    except AlreadyRunningError:
        journal.note(paths.data_dir, state, started=False)
        raise
    except KeyboardInterrupt:
        _told_to_end(paths)
        raise
    except Exception as error:
        now = _on_trial(paths)
        if now is None or now.no_way_back:
            raise
        raise _rolled_back(paths, state, explained(error).message) from error
    _told_to_end(paths)
    return code


def _on_trial(paths: Paths) -> Journal | None:
    state = journal.read(paths.data_dir)
    return state if state and state.step == "proving" else None


def _told_to_end(paths: Paths) -> None:
    if state := _on_trial(paths):
        journal.note(paths.data_dir, state, started=False)


def _rolled_back(paths: Paths, state: Journal, reason: str) -> HostError:
    put_back(paths, state, reason)
    return HostError(
        f"the upgrade to {state.version} was rolled back to {state.former}: {reason}",
        "rke2 has to be started again: systemd does; elsewhere start it as before",
    )
