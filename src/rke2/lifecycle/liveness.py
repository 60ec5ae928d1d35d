"""Whether the node's own listeners answer: asked all the time, mended if they do not, told to whoever watches.

::

    well ──silent──> told: `rke2 status`, no word to the watchdog
     ▲                 │
     │                 ├──MEND_AFTER──> the listener is opened again
     └────answers──────┤
                       └──END_AFTER──> the node begins again

That a task has ended is noticed by its owner (`rke2.lifecycle.services`). This is for what does not end and yet does
not answer, whatever the reason is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rke2.errors import ComponentError, RKE2Error
from rke2.lifecycle.clock import CLOCK, Clock
from rke2.lifecycle.service import NodeEnds, Up

log = logging.getLogger(__name__)

INTERVAL = 10.0
"""Seconds between two questions, and at most for an answer: a busy machine may take a while."""
SOON = 0.5
"""Seconds between two questions as long as there has been no answer yet."""
FIRST_SECONDS = 60.0
"""To the first answer of a listener that has been opened."""
MEND_AFTER, END_AFTER = 3, 6
"""Questions in a row without an answer."""


@dataclass(frozen=True)
class Watched:
    """Something that others rely on being answered by.

    Args:
        name: what the operator knows it by, such as ``port 9345``.
        ask: why it does not answer, empty if it does; may take as long as it likes.
        mend: opens it again.
    """

    name: str
    ask: Callable[[], Awaitable[str]]
    mend: Callable[[str], Awaitable[None]]


@dataclass(frozen=True)
class _Silent:
    listener: Watched
    reason: str

    def __str__(self) -> str:
        return f"{self.listener.name}: {self.reason}"


class Liveness:
    """Asks the listeners of a node, as a service.

    Args:
        tell: gets why the node is not alive, empty if it is.
        feed: tells the service manager that all is well.
        watchdog: seconds within which the service manager wants to be told; None if it does not watch.
        alive: called whenever the event loop gets here.
    """

    name = "liveness"

    def __init__(
        self,
        tell: Callable[[str], None],
        feed: Callable[[], None],
        watchdog: float | None = None,
        *,
        alive: Callable[[], None] = lambda: None,
        clock: Clock = CLOCK,
    ) -> None:
        self._tell, self._feed, self._alive, self._clock = tell, feed, alive, clock
        # A third: one word that comes late or gets lost must not end the node.
        self._interval = min(INTERVAL, watchdog / 3) if watchdog else INTERVAL
        self._listeners: list[Watched] = []
        self._ready = False
        self._silent = 0

    def watch(self, listener: Watched) -> None:
        """Ask this one, too, from now on."""
        self._listeners.append(listener)

    async def first_answer(self) -> None:
        """Return when every listener answers: before that the node is not ready.

        Raises:
            ComponentError: one does not.
        """
        begun = self._clock.now()
        while silent := await self._first_silent():
            if self._clock.now() - begun >= FIRST_SECONDS:
                raise ComponentError(
                    f"this node does not answer itself: {silent}", "look for errors above in the log"
                )
            self._tell(str(silent))
            await self._clock.sleep(SOON)
        self._tell("")
        self._ready = True

    async def run(self, up: Up) -> None:
        """Ask until cancelled.

        Raises:
            NotAlive: there was no answer for long, and opening the listener again has not helped.
        """
        up()
        self._silent = 0
        while True:
            self._alive()
            await self._look()
            await self._clock.sleep(self._interval)

    async def _look(self) -> None:
        if not self._ready:
            # While a node boots its listeners come and go, and it may wait for others without end.
            self._feed()
            return
        silent = await self._first_silent()
        self._tell(str(silent or ""))
        if silent:
            await self._mend(silent)
        else:
            self._silent = 0
            self._feed()

    async def _mend(self, silent: _Silent) -> None:
        self._silent += 1
        log.error("this node does not answer itself (%d times in a row): %s", self._silent, silent)
        if self._silent >= END_AFTER:
            raise NotAlive(f"this node does not answer itself: {silent}")
        if self._silent == MEND_AFTER:
            log.error("%s is opened again", silent.listener.name)
            try:
                await silent.listener.mend(str(silent))
            except RKE2Error as error:
                log.error("%s cannot be opened again: %s", silent.listener.name, error)

    async def _first_silent(self) -> _Silent | None:
        """What does not answer now; None if all do."""
        for listener in self._listeners:
            if reason := await self._reason(listener):
                return _Silent(listener, reason)
        return None

    async def _reason(self, listener: Watched) -> str:
        try:
            async with asyncio.timeout(self._interval):
                return await listener.ask()
        except TimeoutError:
            return f"no answer in {self._interval:.0f} s"
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, it was no answer
            return repr(error)


class NotAlive(NodeEnds):
    """The node runs, but nothing of it answers; to begin again is what is left."""
