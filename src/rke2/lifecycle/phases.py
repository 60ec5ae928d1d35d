"""A boot as data: named phases, what each requires, and a runner that starts each the moment it can.

::

    pending ──requirements done──> running ──> done
                                      │
                                      ├──────> failed   (cancels the others, ends the boot)
                      └──────> cancelled

A phase is an async function. What has to go on living afterwards (a process, a controller) is handed
to the `asyncio.TaskGroup` that the runner owns, so every task has an owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from rke2.errors import RKE2Error, explained, first_error
from rke2.lifecycle.progress import PhaseStatus, Progress
from rke2.lifecycle.service import NodeEnds


@dataclass(frozen=True)
class Phase:
    """One step of a boot.

    Args:
        name: what the operator sees.
        requires: names of the phases that must be done first.
        waits_for: what `run` waits for most of its time, in the operator's words.
        run: does the step; raising ends the boot. What it raises need not be an error with a message for the operator.
    """

    name: str
    requires: tuple[str, ...]
    waits_for: str
    run: Callable[[], Awaitable[None]]


def check_order(phases: Sequence[Phase]) -> None:
    """Every requirement stands before its user: the list reads from top to bottom and has no cycle.

    Raises:
        ValueError: names the phase and the requirement.
    """
    seen: set[str] = set()
    for phase in phases:
        for requirement in phase.requires:
            if requirement not in seen:
                raise ValueError(
                    f"phase {phase.name!r} requires {requirement!r}, which is not listed above it"
                )
        if phase.name in seen:
            raise ValueError(f"phase {phase.name!r} is listed twice")
        seen.add(phase.name)


async def run_phases(phases: Sequence[Phase], progress: Progress) -> None:
    """Run all phases, in parallel where `Phase.requires` allows it; return when the last is done.

    Raises:
        ExceptionGroup: with an `RKE2Error`, or a `NodeEnds`, of the phase that failed.
    """
    check_order(phases)
    done = {phase.name: asyncio.Event() for phase in phases}
    progress.plan(
        [
            PhaseStatus(phase.name, requires=list(phase.requires), waits_for=phase.waits_for)
            for phase in phases
        ]
    )

    async def run(phase: Phase) -> None:
        for requirement in phase.requires:
            await done[requirement].wait()
        with progress.running(phase.name, phase.waits_for):
            await _run(phase)
        done[phase.name].set()

    async with asyncio.TaskGroup() as group:
        for phase in phases:
            group.create_task(run(phase), name=phase.name)


async def _run(phase: Phase) -> None:
    try:
        await phase.run()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told with the phase it ends
        first = first_error(error)
        if isinstance(first, RKE2Error | NodeEnds):
            raise first from None
        raise explained(first, phase.name) from first
