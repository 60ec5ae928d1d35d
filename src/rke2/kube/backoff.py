"""Growing delays between attempts."""

from __future__ import annotations

import asyncio
import random


class Backoff:
    """Delays that grow by `factor` from `first` to `limit` seconds, spread a little so that peers do not march.

    Args:
        first: seconds of the first delay.
        limit: seconds no delay exceeds.
    """

    def __init__(self, first: float = 0.1, limit: float = 15.0, factor: float = 2.0) -> None:
        self._first, self._limit, self._factor = first, limit, factor
        self._next = first

    def next(self) -> float:
        """The next delay in seconds."""
        delay = self._next
        self._next = min(delay * self._factor, self._limit)
        # Downwards only: `limit` is a promise to those who wait.
        return delay * random.uniform(0.9, 1.0)

    def reset(self) -> None:
        self._next = self._first

    async def sleep(self) -> None:
        await asyncio.sleep(self.next())
