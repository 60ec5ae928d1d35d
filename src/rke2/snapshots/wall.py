"""Waiting for a time of day: the clock may be set, and the machine may sleep, meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from rke2.lifecycle.clock import Clock

LOOK = 30.0
"""Seconds that are slept at once: a clock that is set, or a machine that slept, is noticed after as many."""


async def until(
    due: float,
    clock: Clock,
    now: Callable[[], float],
    again: Callable[[float], float] = lambda due: due,
) -> float:
    """Wait for Unix time `due`, or for what `again` makes of it at each look; returns what was waited for."""
    while (left := due - now()) > 0:
        await clock.sleep(min(left, LOOK))
        due = again(due)
    return due
