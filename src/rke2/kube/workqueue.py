"""Work per key: at most one run of a key at a time, a change during a run means one more run, failures back off.

Equivalent of client-go's rate-limited work queue; a key has a task only while there is something to do for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from rke2.errors import KubeError
from rke2.kube.backoff import Backoff
from rke2.kube.objects import Key
from rke2.kube.persistence import SURVIVED, Outage

log = logging.getLogger(__name__)

UNREACHABLE_SECONDS = 2.0
"""Longest pause while the API does not answer at all: it may be back any moment."""

Handler = Callable[[Key], Awaitable[float | None]]
"""Works on a key; returns the seconds after which to come again, or None."""


class WorkQueue:
    """Runs `handler` for keys that were added.

    Args:
        what: names the work in the log.
        handler: whatever it raises, it is called again after a growing delay, or when the key is added again.
        workers: how many keys are worked on at a time.
        first: seconds of the delay after the first failure.
        limit: seconds no delay exceeds.
    """

    def __init__(
        self, what: str, handler: Handler, *, workers: int = 8, first: float = 0.005, limit: float = 60.0
    ) -> None:
        self._what, self._handler = what, handler
        self._slots = asyncio.Semaphore(workers)
        self._delays = (first, limit)
        self._wanted: dict[Key, asyncio.Event] = {}
        self._arrivals: asyncio.Queue[Key] = asyncio.Queue()

    def add(self, key: Key) -> None:
        """Have `key` worked on soon; never blocks."""
        wanted = self._wanted.get(key)
        if wanted is None:
            self._wanted[key] = asyncio.Event()
            self._arrivals.put_nowait(key)
        else:
            wanted.set()

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    key = await self._arrivals.get()
                    # A task per key, a slot only while its handler runs: a key in back-off holds up no other one.
                    tasks.create_task(self._work(key), name=f"{self._what} {key}")
        finally:
            # Their tasks were cancelled: a key that stayed here would count as
            # being worked on and never be taken up.
            self._wanted.clear()
            self._arrivals = asyncio.Queue()

    async def _work(self, key: Key) -> None:
        """Run the handler until there is nothing more to do for `key`."""
        wanted = self._wanted[key]
        outage, backoff = Outage(f"{self._what} {key}"), Backoff(*self._delays)
        again: float | None = 0.0
        while again is not None or wanted.is_set():
            if again:
                await _wait(wanted, again)
            # Before the run, not after it: what changes while the handler works means one more run.
            wanted.clear()
            again = await self._attempt(key, outage, backoff)
        # Nothing is awaited between the last look at `wanted` and this; a key that were added there would be lost.
        del self._wanted[key]

    async def _attempt(self, key: Key, outage: Outage, backoff: Backoff) -> float | None:
        try:
            # Not around the wait for the next attempt: failing keys would take
            # all slots from those that work.
            async with self._slots:
                again = await self._handler(key)
        except SURVIVED as error:
            outage.failed(error)
            delay = backoff.next()
            unreachable = isinstance(error, KubeError) and error.status == 0
            return min(delay, UNREACHABLE_SECONDS) if unreachable else delay
        except Exception:  # a fault of ours with one key must not keep the others from being worked on
            log.exception("%s %s failed; trying again", self._what, key)
            return backoff.next()
        outage.over()
        backoff.reset()
        return again


async def _wait(wanted: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await wanted.wait()
    except TimeoutError:
        pass
