"""What becomes of a service that ends although nobody told it to, and in which order all are stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from rke2.errors import ComponentError, first_error
from rke2.lifecycle import services as module
from rke2.lifecycle.progress import ServiceStatus
from rke2.lifecycle.service import EndedError, NodeEnds, Policy, Up
from rke2.lifecycle.services import Services
from tests.unit.lifecycle.clocks import FakeClock

Work = Callable[[], Awaitable[None]]


class Owned:
    """Services with a fake clock, and all that was told of them."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.told: list[tuple[str, ServiceStatus]] = []
        self.services = Services(lambda name, status: self.told.append((name, status)), clock=self.clock)

    def states(self, name: str) -> list[str]:
        return [status.state for told, status in self.told if told == name]

    async def failure(self, boot: Work) -> BaseException:
        """What ends the node."""
        with pytest.raises(BaseException) as raised:
            await asyncio.wait_for(self.services.run(boot), 10)
        return first_error(raised.value)


@pytest.fixture
async def owned() -> AsyncIterator[Owned]:
    made = Owned()
    yield made
    await made.services.stop()


class Flaky:
    """A service that raises what it is given, one error in each run, and then goes on."""

    name = "flaky"

    def __init__(self, *errors: BaseException, clock: FakeClock | None = None, lasts: float = 0.0) -> None:
        self._errors, self._clock, self._lasts = list(errors), clock, lasts
        self.runs = 0
        self.steady = asyncio.Event()

    async def run(self, up: Up) -> None:
        self.runs += 1
        up()
        if self._errors:
            if self._clock:
                self._clock.time += self._lasts
            raise self._errors.pop(0)
        self.steady.set()
        await asyncio.Event().wait()


async def nothing() -> None: ...


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_service_that_is_to_restart_does_so_after_growing_pauses(owned: Owned) -> None:
    flaky = Flaky(*(ValueError("broken") for _ in range(7)))
    owned.services.begin(flaky, Policy.RESTART)
    await asyncio.wait_for(flaky.steady.wait(), 10)
    assert owned.clock.pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    status = owned.services.statuses()["flaky"]
    assert (status.state, status.failures, status.error) == ("running", 7, "")


async def test_pauses_start_over_after_a_good_while(owned: Owned) -> None:
    flaky = Flaky(ValueError(), ValueError(), ValueError(), clock=owned.clock, lasts=3600)
    owned.services.begin(flaky, Policy.RESTART)
    await asyncio.wait_for(flaky.steady.wait(), 10)
    assert owned.clock.pauses == [0.5, 0.5, 0.5]


async def test_why_a_service_failed_is_told_with_the_place_if_it_is_nothing_we_know(owned: Owned) -> None:
    flaky = Flaky(ValueError("broken"), ComponentError("no disk", "buy one"))
    owned.services.begin(flaky, Policy.RESTART)
    await asyncio.wait_for(flaky.steady.wait(), 10)
    unknown, known = (status.error for _, status in owned.told if status.state == "failing")
    assert unknown.startswith("ValueError('broken') at test_services.py:")
    assert known == "no disk"


async def test_a_service_that_ends_the_node_ends_it_with_its_error(owned: Owned) -> None:
    stopped = asyncio.Event()

    async def other() -> None:
        try:
            await forever()
        finally:
            stopped.set()

    async def boot() -> None:
        owned.services.keep("other", other, Policy.RESTART)
        owned.services.begin(Flaky(ComponentError("gone")), Policy.END_NODE)

    error = await owned.failure(boot)
    assert isinstance(error, ComponentError)
    assert stopped.is_set()
    assert owned.states("flaky") == ["running", "failed"]


async def test_an_end_of_the_node_does_not_wait_for_the_boot(owned: Owned) -> None:
    async def boot() -> None:
        owned.services.begin(Flaky(ComponentError("gone")), Policy.END_NODE)
        await forever()

    assert isinstance(await owned.failure(boot), ComponentError)


async def test_a_boot_that_fails_stops_the_services(owned: Owned) -> None:
    async def boot() -> None:
        await owned.services.start(Flaky(), Policy.RESTART)
        raise ComponentError("no boot")

    assert isinstance(await owned.failure(boot), ComponentError)
    assert owned.states("flaky") == ["running", "stopped"]


async def test_the_node_goes_on_without_a_service_that_may_stay_away(owned: Owned) -> None:
    owned.services.begin(Flaky(ValueError("broken")), Policy.DEGRADE)
    steady = Flaky()
    await owned.services.start(steady, Policy.END_NODE)
    await asyncio.wait_for(steady.steady.wait(), 10)
    assert ("failed", 1) in [(status.state, status.failures) for _, status in owned.told]
    assert owned.clock.pauses == []


@pytest.mark.parametrize("policy", Policy)
async def test_what_must_end_the_node_does_so_under_every_policy(owned: Owned, policy: Policy) -> None:
    group = BaseExceptionGroup("nested", [ValueError(), BaseExceptionGroup("deeper", [NodeEnds("over")])])

    async def boot() -> None:
        owned.services.begin(Flaky(group), policy)

    assert isinstance(await owned.failure(boot), NodeEnds)


@pytest.mark.parametrize("how", ["returned", "cancelled"])
async def test_an_end_without_an_error_is_an_end(owned: Owned, how: str) -> None:
    async def work() -> None:
        if how == "cancelled":
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future

    async def boot() -> None:
        owned.services.keep("short", work, Policy.END_NODE)

    assert isinstance(await owned.failure(boot), EndedError)


async def test_work_that_may_end_is_done_then(owned: Owned) -> None:
    owned.services.once("errand", nothing, Policy.END_NODE)
    while owned.states("errand") != ["running", "done"]:
        await asyncio.sleep(0)


async def test_the_youngest_is_stopped_first_and_each_waits_for_the_one_before(owned: Owned) -> None:
    stopped: list[str] = []

    def lasting(name: str, seconds: float) -> Work:
        async def work() -> None:
            try:
                await forever()
            finally:
                await asyncio.sleep(seconds)
                stopped.append(name)

        return work

    async def close() -> None:
        stopped.append("closing")

    owned.services.keep("first", lasting("first", 0), Policy.RESTART)
    owned.services.at_the_end("closing", close)
    owned.services.keep("last", lasting("last", 0.05), Policy.END_NODE)
    await asyncio.sleep(0)
    await owned.services.stop()
    assert stopped == ["last", "closing", "first"]


async def test_one_that_cannot_be_stopped_does_not_keep_the_others(
    owned: Owned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_SECONDS", 0.05)
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async def broken() -> None:
        raise ValueError

    owned.services.keep("first", forever, Policy.RESTART)
    owned.services.at_the_end("broken", broken)
    owned.services.keep("stubborn", stubborn, Policy.RESTART)
    await asyncio.sleep(0)
    await owned.services.stop()
    assert owned.states("first") == ["running", "stopped"]
    release.set()


async def test_stopping_during_a_pause_starts_nothing_again() -> None:
    class Endless(FakeClock):
        async def sleep(self, seconds: float) -> None:
            await forever()

    services, flaky = Services(clock=Endless()), Flaky(ValueError())
    services.begin(flaky, Policy.RESTART)
    for _ in range(3):
        await asyncio.sleep(0)
    await asyncio.wait_for(services.stop(), 10)
    assert flaky.runs == 1


@pytest.mark.parametrize("policy", list(Policy))
async def test_a_service_is_started_again_when_that_is_asked_for(owned: Owned, policy: Policy) -> None:
    flaky = Flaky()
    await owned.services.start(flaky, policy)
    owned.services.restart("flaky", "it does not answer")
    owned.services.restart("flaky", "twice is once")
    async with asyncio.timeout(10):
        while flaky.runs < 2:
            await asyncio.sleep(0)
    assert [status.error for _, status in owned.told if status.state == "failing"] == ["it does not answer"]


async def test_the_boot_waits_for_a_service_through_its_restarts(owned: Owned) -> None:
    class Slow(Flaky):
        async def run(self, up: Up) -> None:
            await super().run(up if not self._errors else lambda: None)

    slow = Slow(ValueError(), ValueError())
    await asyncio.wait_for(owned.services.start(slow, Policy.RESTART), 10)
    assert slow.runs == 3
