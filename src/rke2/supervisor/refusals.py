"""Warnings about refused requests, so few that nobody can fill a disk with them."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

from rke2.supervisor.unauthenticated import client_of

log = logging.getLogger(__name__)

_SECONDS = 60.0
_MOST = 60
_MOST_OF_ONE_CLIENT = 5
_LONGEST = 200


class Refusals:
    """Logs a few refusals per minute of each client and of all; how many it left out comes with a later one.

    Args:
        clock: seconds of a clock that is never set back.
    """

    def __init__(
        self,
        most: int = _MOST,
        most_of_one: int = _MOST_OF_ONE_CLIENT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most, self._most_of_one, self._clock = most, most_of_one, clock
        self._told: Counter[str] = Counter()
        self._left_out = 0
        self._begin = clock()

    def tell(self, what: str, address: str, why: str) -> None:
        """Log that `what` was refused to the client at `address`.

        Args:
            what: method and path.
            address: the client's, empty if it is gone.
            why: the answer; it may repeat what the client has sent.
        """
        self._next_minute()
        client = client_of(address) if address else ""
        if self._told.total() >= self._most or self._told[client] >= self._most_of_one:
            self._left_out += 1
            return
        self._told[client] += 1
        log.warning(
            "Refused %s to %s: %s", printable(what), address or "a client that is gone", printable(why)
        )

    def _next_minute(self) -> None:
        """Forget the last minute if it is over; who was told in it is all that was remembered."""
        if self._clock() - self._begin < _SECONDS:
            return
        if self._left_out:
            log.warning("%d more requests were refused meanwhile", self._left_out)
        self._told.clear()
        self._left_out, self._begin = 0, self._clock()


def printable(text: str) -> str:
    """`text` as it may stand in a line of a log: a client must not be able to write lines of its own."""
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return text if text.isprintable() else ascii(text)
