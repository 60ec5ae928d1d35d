"""Some work at a time for many things."""

from __future__ import annotations

import asyncio

import pytest

from rke2.errors import HostError
from rke2.host.parallel import for_each
from tests import virtual_time


def test_everything_is_done_a_few_at_once() -> None:
    running, most, done = 0, 0, list[int]()

    async def work(item: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(1)
        running -= 1
        done.append(item)

    async def main() -> float:
        await for_each(range(10), work, at_once=4)
        return asyncio.get_running_loop().time()

    assert virtual_time.run(main()) == pytest.approx(3)
    assert (sorted(done), most) == (list(range(10)), 4)


def test_the_first_failure_is_raised_by_itself_and_ends_the_rest() -> None:
    begun = list[int]()

    async def work(item: int) -> None:
        begun.append(item)
        await asyncio.sleep(1)
        if item == 1:
            raise HostError("full")

    with pytest.raises(HostError, match="full"):
        virtual_time.run(for_each(range(10), work, at_once=2))
    assert begun[:2] == [0, 1] and len(begun) < 5


def test_nothing_is_done_at_once() -> None:
    async def work(item: int) -> None:
        raise AssertionError(item)

    virtual_time.run(for_each((), work, at_once=3))
