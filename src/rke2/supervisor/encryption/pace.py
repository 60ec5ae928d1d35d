"""How many requests are made of an API server at once: as many as it answers no later than a single one.

::

    one at a time ──▶ what an answer takes ──▶ one more at once, and more, until answers take longer ──▶ one less
          ▲                                                                                               │
          └────────────────────────────── a round of windows is over ─────────────────────────────────────┘

Where writes wait for a disk, they wait for it together, and more at once are faster. Where they wait for a processor,
more at once take it from everybody else who asks the API server, and nothing is faster.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MOST = 8
WINDOW = 20
"""Answers from one decision to the next."""
ROUND = 20
"""Windows for which a measurement of single requests holds: others come and go on the machine."""
LATER = 1.25
"""Times what a single request takes: an answer that takes longer has waited for the others."""


class Pace:
    """Lets requests pass, each of which takes a `turn`.

    Args:
        most: limit of those that are under way at once.
    """

    def __init__(self, most: int = MOST) -> None:
        self.at_once = 1
        self._most = most
        self._under_way = 0
        self._freed = asyncio.Condition()
        self._alone = 0.0
        self._windows, self._climbs = 0, True
        self._taken: list[float] = []

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until one more request may be made, which is the block; how long it takes counts."""
        async with self._freed:
            await self._freed.wait_for(lambda: self._under_way < self.at_once)
            self._under_way += 1
        began = time.monotonic()
        try:
            yield
        finally:
            self._under_way -= 1
            self.took(time.monotonic() - began)
            async with self._freed:
                self._freed.notify_all()

    def took(self, seconds: float) -> None:
        """Count an answer that took so long; the last one of a window decides on the next."""
        self._taken.append(seconds)
        if len(self._taken) < WINDOW:
            return
        # The median: one slow answer, as of a disk that was flushed, says nothing of how busy the API server is.
        median = sorted(self._taken)[WINDOW // 2]
        self._taken.clear()
        self._windows += 1
        self.at_once = self._next(median)

    def _next(self, median: float) -> int:
        if self._windows >= ROUND:
            self._windows, self._climbs = 0, True
            return 1
        if self.at_once == 1 and self._climbs:
            self._alone = median
            return min(2, self._most)
        if median > self._alone * LATER:
            # No second try in this round: it would be too many half of the time.
            self._climbs = False
            return max(1, self.at_once - 1)
        return min(self._most, self.at_once + self._climbs)
