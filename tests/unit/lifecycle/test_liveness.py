"""What is told, fed and mended when a listener of the node does not answer the node itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from rke2.errors import ComponentError, HostError
from rke2.lifecycle import liveness as module
from rke2.lifecycle.liveness import Liveness, NotAlive, Watched
from tests.unit.lifecycle.clocks import FakeClock

ENOUGH = "enough"


class Site:
    """A node with one listener that gives `answers`, one a question, and then ends the test."""

    def __init__(self, *answers: str, watchdog: float | None = None, broken: bool = False) -> None:
        self.clock = FakeClock()
        self.fed, self.alive, self.mended, self.broken = 0, 0, 0, broken
        self.told: list[str] = []
        self.answers = list(answers)
        self.liveness = Liveness(self.told.append, self._feed, watchdog, alive=self._alive, clock=self.clock)
        self.liveness.watch(Watched("port 9345", self._ask, self._mend))

    def _feed(self) -> None:
        self.fed += 1

    def _alive(self) -> None:
        self.alive += 1

    async def _ask(self) -> str:
        if not self.answers:
            raise asyncio.CancelledError(ENOUGH)
        return self.answers.pop(0)

    async def _mend(self, why: str) -> None:
        self.mended += 1
        if self.broken:
            raise HostError("the port is taken")

    async def run(self) -> None:
        """First answer, then questions until there are no answers left."""
        await self.liveness.first_answer()
        with pytest.raises(asyncio.CancelledError, match=ENOUGH):
            await self.liveness.run(lambda: None)


async def test_the_watchdog_is_fed_only_while_there_are_answers() -> None:
    site = Site("", "", "", "refused", "refused", "")
    await site.run()
    assert site.fed == 3
    assert site.alive == 6
    assert site.told == ["", "", "", "port 9345: refused", "port 9345: refused", ""]
    assert site.mended == 0


async def test_a_listener_that_stays_silent_is_opened_again_once() -> None:
    site = Site("", *["refused"] * 5, "")
    await site.run()
    assert (site.mended, site.fed) == (1, 1)


@pytest.mark.parametrize("broken", [False, True])
async def test_a_node_that_stays_silent_begins_again(broken: bool) -> None:
    site = Site("", *["refused"] * 9, broken=broken)
    await site.liveness.first_answer()
    with pytest.raises(NotAlive, match="port 9345: refused"):
        await site.liveness.run(lambda: None)
    assert (site.mended, site.fed, len(site.answers)) == (1, 0, 3)


async def test_silence_is_counted_from_the_last_answer() -> None:
    site = Site("", *(["refused"] * 5 + [""]) * 3)
    await site.run()
    assert site.mended == 3


async def test_nobody_is_asked_before_the_node_is_ready_but_the_watchdog_is_fed() -> None:
    site = Site()
    run = asyncio.create_task(site.liveness.run(lambda: None))
    while site.fed < 3:
        await asyncio.sleep(0)
    run.cancel()
    assert site.told == []


async def test_a_node_that_never_answers_does_not_become_ready() -> None:
    site = Site(*["refused"] * 1000)
    with pytest.raises(ComponentError, match="port 9345: refused"):
        await site.liveness.first_answer()
    assert site.clock.time == module.FIRST_SECONDS


async def test_the_first_answer_may_take_a_moment() -> None:
    site = Site("refused", "refused", "")
    await site.liveness.first_answer()
    assert site.told == ["port 9345: refused", "port 9345: refused", ""]


@pytest.mark.parametrize(
    ("ask", "reason"),
    [(lambda: asyncio.sleep(60, ""), "no answer in 0 s"), (lambda: _raise(), "ZeroDivisionError")],
)
async def test_no_answer_is_one_too(ask: Callable[[], object], reason: str) -> None:
    told: list[str] = []
    liveness = Liveness(told.append, lambda: None, 0.03, clock=FakeClock())
    liveness.watch(Watched("port", ask, lambda why: asyncio.sleep(0)))  # type: ignore[arg-type]
    with pytest.raises(ComponentError):
        await liveness.first_answer()
    assert reason in told[0]


async def _raise() -> str:
    raise ZeroDivisionError


@pytest.mark.parametrize(("watchdog", "interval"), [(None, 10.0), (180.0, 10.0), (12.0, 4.0)])
async def test_the_watchdog_hears_three_times_in_its_time(watchdog: float | None, interval: float) -> None:
    site = Site("", "", "", watchdog=watchdog)
    await site.run()
    assert set(site.clock.pauses) == {interval}
