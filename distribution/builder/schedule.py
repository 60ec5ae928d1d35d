"""The build as a graph: named tasks with explicit requirements, a few at a time, the longest chain first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from distribution.builder.errors import BuildError, DistributionError
from distribution.builder.progress import Progress

Note = Callable[[str], None]


@dataclass(frozen=True)
class Task:
    """One step of the build.

    Attributes:
        name: unique; what the progress display shows.
        run: does it, telling what happens at the moment in a few words.
        requires: names of the tasks that must have ended before.
        cost: an estimate in any unit; only the order of costs matters.
    """

    name: str
    run: Callable[[Note], Awaitable[None]]
    requires: tuple[str, ...] = field(default=())
    cost: int = 1


async def run_all(tasks: Iterable[Task], slots: int, progress: Progress) -> None:
    """Run every task, at most `slots` at once.

    The first failure cancels what is running: its compiler processes end with it.

    Raises:
        DistributionError: a task failed, or the requirements are circular or name an unknown task.
    """
    by_name = {task.name: task for task in tasks}
    urgency = urgencies(by_name)
    order = _sorter(by_name)
    order.prepare()
    done: asyncio.Queue[str] = asyncio.Queue()
    ready: list[str] = []
    running = 0
    try:
        async with asyncio.TaskGroup() as group:
            while order.is_active():
                ready = sorted([*ready, *order.get_ready()], key=lambda name: (-urgency[name], name))
                while ready and running < slots:
                    group.create_task(_run_one(by_name[ready.pop(0)], progress, done))
                    running += 1
                order.done(await done.get())
                running -= 1
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


def urgencies(by_name: Mapping[str, Task]) -> dict[str, int]:
    """For each task the cost of the costliest chain of tasks that begins with it."""
    result: dict[str, int] = {}
    for name in reversed(_in_order(by_name)):
        waiting = [result[other.name] for other in by_name.values() if name in other.requires]
        result[name] = by_name[name].cost + max(waiting, default=0)
    return result


def _in_order(by_name: Mapping[str, Task]) -> list[str]:
    try:
        return list(_sorter(by_name).static_order())
    except CycleError as error:
        raise DistributionError(f"tasks require each other: {' -> '.join(error.args[1])}") from error


def _sorter(by_name: Mapping[str, Task]) -> TopologicalSorter[str]:
    unknown = {need for task in by_name.values() for need in task.requires} - by_name.keys()
    if unknown:
        raise DistributionError(f"tasks that others require do not exist: {', '.join(sorted(unknown))}")
    return TopologicalSorter({task.name: task.requires for task in by_name.values()})


async def _run_one(task: Task, progress: Progress, done: asyncio.Queue[str]) -> None:
    begin = time.monotonic()
    progress.started(task.name)
    try:
        await task.run(lambda text: progress.note(task.name, text))
    except OSError as error:  # a full or read-only disk, most often
        progress.failed(task.name, time.monotonic() - begin)
        raise BuildError(task.name, str(error)) from error
    except BaseException:
        progress.failed(task.name, time.monotonic() - begin)
        raise
    progress.finished(task.name, time.monotonic() - begin)
    await done.put(task.name)
