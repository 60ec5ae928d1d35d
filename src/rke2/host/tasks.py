"""Short work that nobody waits for, such as one connection: still owned, and its failure noticed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Tasks:
    """Runs coroutines beside each other; one that fails is logged at once and touches no other.

    What lasts as long as the node is a service instead (`rke2.lifecycle.services`).

    Args:
        what: one of them, for the log.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        # The event loop itself keeps only weak references to tasks.
        self._running: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Those that run."""
        return len(self._running)

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Have `work` run from now on."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    async def end(self) -> None:
        """Cancel what runs, and wait for it."""
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("%s failed", self._what, exc_info=error)
