from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from rke2.errors import KubeError
from rke2.kube.objects import Key
from rke2.kube.workqueue import Handler, WorkQueue

A, B = Key("ns", "a"), Key("ns", "b")


@asynccontextmanager
async def running(handler: Handler, **options: int) -> AsyncIterator[WorkQueue]:
    queue = WorkQueue("test", handler, **options)
    task = asyncio.create_task(queue.run())
    try:
        yield queue
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(2):
        while not condition():
            await asyncio.sleep(0.001)


async def test_changes_during_a_run_make_exactly_one_more() -> None:
    runs, release = 0, asyncio.Event()

    async def handler(_: Key) -> None:
        nonlocal runs
        runs += 1
        await release.wait()

    async with running(handler) as queue:
        queue.add(A)
        await until(lambda: runs == 1)
        for _ in range(5):
            queue.add(A)
        release.set()
        await until(lambda: runs == 2)
        await asyncio.sleep(0.02)
        assert runs == 2


async def test_keys_do_not_wait_for_each_other_and_one_never_runs_twice_at_a_time() -> None:
    active: list[Key] = []
    seen: set[Key] = set()
    both = asyncio.Event()

    async def handler(key: Key) -> None:
        assert key not in active
        active.append(key)
        seen.add(key)
        if len(active) == 2:
            both.set()
        await both.wait()
        active.remove(key)

    async with running(handler) as queue:
        for key in (A, B, A, B):
            queue.add(key)
        async with asyncio.timeout(2):
            await both.wait()
        assert seen == {A, B}


async def test_failures_are_tried_again_and_others_go_on() -> None:
    tries: list[Key] = []

    async def handler(key: Key) -> None:
        tries.append(key)
        if key == A and tries.count(A) < 4:
            raise KubeError("no", status=500)

    async with running(handler) as queue:
        queue.add(A)
        queue.add(B)
        await until(lambda: tries.count(A) == 4)
        await asyncio.sleep(0.02)
    assert tries.count(A) == 4
    assert tries.count(B) == 1


async def test_a_change_ends_the_wait_for_the_next_try() -> None:
    tries = 0

    async def handler(_: Key) -> float:
        nonlocal tries
        tries += 1
        return 3600.0

    async with running(handler) as queue:
        queue.add(A)
        await until(lambda: tries == 1)
        queue.add(A)
        await until(lambda: tries == 2)


async def test_a_handler_can_ask_to_be_called_again() -> None:
    tries = 0

    async def handler(_: Key) -> float | None:
        nonlocal tries
        tries += 1
        return 0.001 if tries < 3 else None

    async with running(handler) as queue:
        queue.add(A)
        await until(lambda: tries == 3)


async def test_no_more_workers_than_allowed() -> None:
    active = most = done = 0

    async def handler(_: Key) -> None:
        nonlocal active, most, done
        active += 1
        most = max(most, active)
        await asyncio.sleep(0.002)
        active -= 1
        done += 1

    async with running(handler, workers=2) as queue:
        for number in range(8):
            queue.add(Key("", str(number)))
        await until(lambda: done == 8)
    assert most == 2


async def test_a_queue_that_is_run_again_takes_what_is_added_then() -> None:
    """A key that had arrived when it was cancelled is forgotten with all others."""
    done: list[Key] = []

    async def handler(key: Key) -> None:
        done.append(key)

    queue = WorkQueue("test", handler)
    first = asyncio.create_task(queue.run())
    await asyncio.sleep(0)
    queue.add(A)
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    again = asyncio.create_task(queue.run())
    queue.add(B)
    await until(lambda: done == [B])
    again.cancel()
    with suppress(asyncio.CancelledError):
        await again
