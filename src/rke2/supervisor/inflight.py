"""How many requests of the agents are worked on at a time (supervisor reference §2.7)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from rke2.supervisor.status import StatusError

READS = 20
OTHERS = 10
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class InFlight:
    """Counts requests, reads apart from others; those above the cap are turned away, not queued."""

    def __init__(self, reads: int = READS, others: int = OTHERS) -> None:
        self._free = {True: reads, False: others}

    @contextmanager
    def request(self, method: str) -> Iterator[None]:
        """Hold a place while the block runs.

        Raises:
            StatusError: 429, there is none.
        """
        kind = method in _READING
        if not self._free[kind]:
            raise StatusError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too many requests, please try again later",
                {"Retry-After": "1"},
            )
        self._free[kind] -= 1
        try:
            yield
        finally:
            self._free[kind] += 1
