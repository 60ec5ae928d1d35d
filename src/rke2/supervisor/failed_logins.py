"""Wrong passwords and tokens are answered late, so that guessing them takes too long.

Only answers to what is wrong wait; what is right is answered at once, from whatever address. Who does not wait for the
answer gains nothing: the connection keeps its place among those that have not authenticated (`unauthenticated`) until
the answer is due, and there are only so many for one client.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_FREE = 3
"""An operator may mistype a token."""
_FIRST_SECONDS = 0.25
_SLOWEST_SECONDS = 5.0
"""Below the 10 s that agents wait: they have to be told what is wrong."""
_FORGOTTEN_AFTER_SECONDS = 600.0
_MOST_REMEMBERED = 4096


@dataclass(frozen=True)
class _Failures:
    count: int
    last: float


class FailedLogins:
    """Counts failures of clients.

    Args:
        slowest: seconds that an answer waits at most.
        clock: seconds of a clock that is never set back.
    """

    def __init__(
        self, slowest: float = _SLOWEST_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._slowest, self._clock = slowest, clock
        self._of: OrderedDict[str, _Failures] = OrderedDict()

    def failed(self, client: str) -> float:
        """Count a failure of `client`; the seconds that its answer should wait."""
        now = self._clock()
        # Taken out and put in again: so the order is that of the
        # latest failures, and the oldest is forgotten first.
        before = self._of.pop(client, None)
        count = before.count if before and now - before.last < _FORGOTTEN_AFTER_SECONDS else 0
        self._of[client] = _Failures(count + 1, now)
        while len(self._of) > _MOST_REMEMBERED:
            self._of.popitem(last=False)
        return self._delay(count)

    def __len__(self) -> int:
        return len(self._of)

    def _delay(self, earlier: int) -> float:
        if earlier < _FREE:
            return 0.0
        # Bounded before the power: 2.0**1024 raises OverflowError, and counts may reach that.
        doublings = min(earlier - _FREE, 16)
        return min(self._slowest, _FIRST_SECONDS * 2.0**doublings)
