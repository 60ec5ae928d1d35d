"""Leading in time: who cannot renew has stopped before anybody else may begin."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from rke2.errors import KubeError
from rke2.kube.client import Client
from rke2.kube.lease import Election, LeaseTiming
from tests import virtual_time

TIMING = LeaseTiming(lease=45.0, renew_deadline=30.0, retry=2.0)


class Api:
    """One Lease. `delay` says of each write how long its answer takes, or raises; it is written before that."""

    def __init__(self, delay: Callable[[float], float]) -> None:
        self._delay = delay
        self._lease: dict[str, Any] | None = None
        self.written_at = 0.0

    async def find(self, *_: object) -> dict[str, Any] | None:
        return copy.deepcopy(self._lease)

    async def create(self, _: object, lease: dict[str, Any]) -> dict[str, Any]:
        self._lease, self.written_at = copy.deepcopy(lease), asyncio.get_running_loop().time()
        return lease

    async def update(self, _: object, lease: dict[str, Any]) -> dict[str, Any]:
        seconds = self._delay(now := asyncio.get_running_loop().time())
        self._lease, self.written_at = copy.deepcopy(lease), now
        await asyncio.sleep(seconds)
        return lease


def refused(_: float) -> float:
    raise KubeError("connection refused", reason="Unreachable")


def silent_from(moment: float) -> Callable[[float], float]:
    """Answers at once, then never again, and nothing is written either."""

    def delay(now: float) -> float:
        if now >= moment:
            raise _Silence
        return 0.0

    return delay


class _Silence(Exception):
    pass


class SilentApi(Api):
    async def update(self, resource: object, lease: dict[str, Any]) -> dict[str, Any]:
        try:
            return await super().update(resource, lease)
        except _Silence:
            await asyncio.sleep(3600)
            raise


async def first_term(api: Api) -> tuple[float, float]:
    """When the work began and when it was stopped."""
    times: list[float] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        times.append(loop.time())
        try:
            await asyncio.sleep(10_000)
        finally:
            times.append(loop.time())

    election = Election(cast(Client, api), "rke2", "a", timing=TIMING)
    running = asyncio.ensure_future(election.run(work))
    await _until(lambda: len(times) == 2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return times[0], times[1]


async def _until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("moment", [0.0, 3.0, 100.0])
@pytest.mark.parametrize("refuses", [True, False], ids=["refuses", "is silent"])
def test_who_cannot_renew_stops_within_the_deadline(moment: float, refuses: bool) -> None:
    fails = silent_from(moment)
    api = Api(lambda now: refused(now) if now >= moment else 0.0) if refuses else SilentApi(fails)
    _, ended = virtual_time.run(first_term(api))
    assert ended <= api.written_at + TIMING.renew_deadline + 0.2


def test_a_renewal_counts_from_when_it_was_sent() -> None:
    """Others see it when it is written; its answer may be long in coming."""

    def slow_then_gone(now: float) -> float:
        return 14.0 if now < 10 else refused(now)

    api = Api(slow_then_gone)
    _, ended = virtual_time.run(first_term(api))
    assert ended <= api.written_at + TIMING.renew_deadline + 0.2


def test_an_api_that_answers_late_but_in_time_costs_no_term() -> None:
    async def long_term(delay: Callable[[float], float]) -> Awaitable[None] | None:
        api = Api(delay)
        try:
            async with asyncio.timeout(600):
                await first_term(api)
        except TimeoutError:
            return None
        raise AssertionError("the work was stopped")

    virtual_time.run(long_term(lambda _: 13.0))
