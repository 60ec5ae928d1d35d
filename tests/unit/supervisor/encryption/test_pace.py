"""How many requests are made at once of an API server that waits for its disk, or has no more processor to give."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable

import pytest

from rke2.supervisor.encryption.pace import MOST, ROUND, WINDOW, Pace

Server = Callable[[int], float]
"""Seconds to an answer with so many requests at once."""


def disk(at_once: int) -> float:
    """Writes are flushed together."""
    return 0.02


def processor(at_once: int) -> float:
    """Nothing is faster than one after the other."""
    return 0.004 * at_once


def both(at_once: int) -> float:
    """A processor that is free for three."""
    return 0.01 * max(1.0, at_once / 3)


def numbers(pace: Pace, server: Server, windows: int) -> list[int]:
    """At once, window by window."""
    found = []
    for _ in range(windows):
        found.append(pace.at_once)
        for _ in range(WINDOW):
            pace.took(server(pace.at_once))
    return found


async def test_writes_that_wait_for_a_disk_wait_together() -> None:
    found = numbers(Pace(), disk, ROUND)
    assert found[0] == 1 and found[MOST:] == [MOST] * (ROUND - MOST)


async def test_writes_that_wait_for_a_processor_leave_it_to_others() -> None:
    found = numbers(Pace(), processor, 10 * ROUND)
    assert max(found) == 2 and statistics.mean(found) < 1.1


async def test_there_are_as_many_as_are_answered_at_once() -> None:
    found = numbers(Pace(), both, ROUND)
    assert found[:5] == [1, 2, 3, 4, 3] and set(found[5:]) == {3}


async def test_it_steps_back_when_others_come_and_forward_when_they_have_gone() -> None:
    pace = Pace()
    numbers(pace, disk, ROUND // 2)
    assert numbers(pace, lambda at_once: 0.02 + 0.01 * at_once, ROUND // 2)[-1] < MOST // 2
    assert numbers(pace, disk, ROUND)[-1] == MOST


async def test_one_slow_answer_says_nothing() -> None:
    pace = Pace()
    for number in range(WINDOW * ROUND // 2):
        pace.took(2.0 if number % WINDOW == 3 else disk(1))
    assert pace.at_once == MOST


async def test_no_more_are_under_way_than_the_pace_says() -> None:
    pace, under_way, most = Pace(), 0, 0

    async def request() -> None:
        nonlocal under_way, most
        async with pace.turn():
            under_way += 1
            most = max(most, under_way)
            assert under_way <= max(pace.at_once, 1)
            await asyncio.sleep(0)
            under_way -= 1

    pace.took(0.0)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        for _ in range(WINDOW - 2):
            tasks.create_task(request())
    assert most == 1


async def test_a_request_that_fails_gives_its_turn_back() -> None:
    pace = Pace()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            async with asyncio.timeout(5), pace.turn():
                raise ZeroDivisionError
