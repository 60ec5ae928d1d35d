"""Waiting for a condition of the outside world that sends no event."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


async def until(
    condition: Callable[[], Awaitable[str]],
    *,
    interval: float,
    say: Callable[[str], None] = lambda reason: None,
) -> None:
    """Ask `condition` until it has nothing left to wait for.

    Args:
        condition: returns the reason why not yet, or an empty string when it holds.
        interval: seconds between two questions.
        say: gets each reason, to show it to the operator.
    """
    while reason := await condition():
        say(reason)
        await asyncio.sleep(interval)
