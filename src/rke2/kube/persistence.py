"""Going on when the API server or etcd does not answer: one log line when it fails, one when it works again."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rke2.errors import EtcdError, KubeError
from rke2.kube.backoff import Backoff

log = logging.getLogger(__name__)
T = TypeVar("T")

SURVIVED = (KubeError, EtcdError)
"""What those who keep trying take for a passing trouble of the cluster's stores."""


_OF_THE_REQUEST = frozenset({400, 405, 406, 413, 415, 422})
_OF_THE_SERVER = frozenset({0, 401, 408, 409, 429, 502, 503, 504})


def is_outage(error: KubeError) -> bool:
    """Whether the API server did not get to judge the request: it is away, busy, or another client was first."""
    return error.status in _OF_THE_SERVER


def is_refusal(error: KubeError | EtcdError) -> bool:
    """Whether the API server understood the request and will refuse the same one again.

    No refusals are those that end by themselves: a busy server (429), a conflict (409), credentials that are being
    replaced (401), and what another object may change: rights (403), a kind or namespace that comes later (404).
    """
    return isinstance(error, KubeError) and error.status in _OF_THE_REQUEST


class Outage:
    """Reports the trouble of one task: once per distinct error, and once when it is over.

    The first failure is only a debug line: most are over with the next attempt. Not so a refusal, which is told as
    what it is at once.

    Args:
        what: what does not work meanwhile, as a noun phrase for the log.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._failures = 0
        self._told = ""
        self._since = 0.0

    def failed(self, error: KubeError | EtcdError) -> None:
        self._failures += 1
        if self._failures == 1:
            self._since = time.monotonic()
        if is_refusal(error):
            self._refused(error)
            return
        # Told only if it lasts: an API server that restarts would otherwise fill the log of each controller.
        if self._failures == 1:
            log.debug("%s: %s; trying again", self._what, error)
            return
        # Without an answer the words change from attempt to attempt (refused,
        # reset, no answer): one line for all.
        trouble = error.reason if isinstance(error, KubeError) and error.status == 0 else str(error)
        if trouble != self._told:
            self._told = trouble
            log.warning("%s: %s; trying again", self._what, error)

    def _refused(self, error: KubeError | EtcdError) -> None:
        if str(error) != self._told:
            self._told = str(error)
            log.warning("%s: refused, and asked for again now and then: %s", self._what, error)

    def over(self) -> None:
        if self._told:
            log.info("%s: works again after %.1f s", self._what, time.monotonic() - self._since)
        self._failures, self._told = 0, ""


async def lasting(
    what: str, work: Callable[[], Awaitable[None]], *, first: float = 0.5, limit: float = 15.0
) -> None:
    """Run `work` until it returns: whatever it raises, it is run again, and what runs beside it goes on.

    Args:
        what: for the log.
        first: seconds before the second run; doubles up to `limit`.
    """
    backoff = Backoff(first, limit)
    while True:
        try:
            await work()
            return
        except Exception:  # whatever it is: it is told, and ends nothing else
            log.exception("%s failed; starting it again", what)
        await backoff.sleep()


async def persist(
    what: str, attempt: Callable[[], Awaitable[T]], *, first: float = 0.1, limit: float = 5.0
) -> T:
    """Repeat `attempt` until it succeeds; only errors of `SURVIVED` do not end it.

    Args:
        what: for the log.
        first: seconds before the second attempt; doubles up to `limit`.
    """
    outage, backoff = Outage(what), Backoff(first, limit)
    while True:
        try:
            result = await attempt()
        except SURVIVED as error:
            outage.failed(error)
            await backoff.sleep()
        else:
            outage.over()
            return result
