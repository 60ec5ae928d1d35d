from __future__ import annotations

import asyncio
import errno
import io
import os

import pytest

from distribution.builder.errors import BuildError, DistributionError
from distribution.builder.progress import PlainProgress
from distribution.builder.schedule import Note, Task, run_all, urgencies


class Record:
    """Tasks that note when they begin and end."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.running = 0
        self.most = 0

    def task(self, name: str, *requires: str, cost: int = 1) -> Task:
        async def run(note: Note) -> None:
            note("working")
            self.running += 1
            self.most = max(self.most, self.running)
            self.events.append(f"+{name}")
            for _ in range(5):
                await asyncio.sleep(0)
            self.events.append(f"-{name}")
            self.running -= 1

        return Task(name, run, requires, cost)

    async def run(self, *tasks: Task, slots: int = 2) -> None:
        await run_all(tasks, slots, PlainProgress(io.StringIO()))


async def test_requirements_end_before_what_requires_them_begins() -> None:
    record = Record()
    await record.run(record.task("c", "a", "b"), record.task("b", "a"), record.task("a"), slots=4)
    assert record.events == ["+a", "-a", "+b", "-b", "+c", "-c"]


async def test_no_more_run_at_once_than_there_are_slots() -> None:
    record = Record()
    await record.run(*(record.task(str(n)) for n in range(7)), slots=3)
    assert record.most == 3
    assert len(record.events) == 14


async def test_the_longest_chain_begins_first() -> None:
    record = Record()
    tasks = [record.task("small", cost=5), record.task("first", cost=1), record.task("last", "first", cost=9)]
    assert urgencies({task.name: task for task in tasks}) == {"small": 5, "first": 10, "last": 9}
    await record.run(*tasks, slots=1)
    assert record.events[::2] == ["+first", "+last", "+small"]


async def test_the_first_failure_cancels_the_others_and_is_raised_as_it_is() -> None:
    cancelled = asyncio.Event()

    async def fail(note: Note) -> None:
        await asyncio.sleep(0)
        raise BuildError("runc", "`go` ended with code 1", "undefined: x")

    async def wait(note: Note) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    out = io.StringIO()
    with pytest.raises(BuildError, match=r"(?s)^runc: .*undefined: x"):
        await run_all([Task("runc", fail), Task("other", wait)], 2, PlainProgress(out))
    assert cancelled.is_set()
    assert "other: stopped" in out.getvalue()


async def test_a_full_disk_is_an_error_of_the_task_that_met_it() -> None:
    async def fill(note: Note) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/cache/x")

    with pytest.raises(BuildError, match=r"^archive-core: .*No space left on device: '/cache/x'"):
        await run_all([Task("archive-core", fill)], 1, PlainProgress(io.StringIO()))


async def test_wrong_graphs_are_refused_before_anything_runs() -> None:
    record = Record()
    with pytest.raises(DistributionError, match="do not exist: nothing"):
        await record.run(record.task("a", "nothing"))
    with pytest.raises(DistributionError, match=r"require each other: .*a"):
        await record.run(record.task("a", "b"), record.task("b", "a"))
    assert record.events == []
