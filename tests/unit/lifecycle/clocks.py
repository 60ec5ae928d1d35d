"""Time for tests: it passes only by waiting for it, and that takes none."""

from __future__ import annotations

import asyncio


class FakeClock:
    """A `rke2.lifecycle.clock.Clock`; `pauses` are all that were waited for."""

    def __init__(self) -> None:
        self.time = 0.0
        self.pauses: list[float] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds
        await asyncio.sleep(0)
