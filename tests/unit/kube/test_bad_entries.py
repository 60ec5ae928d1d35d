"""One entry that nobody has thought of: the others go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from rke2.kube.client import Client
from rke2.kube.events import EventRecorder
from rke2.kube.informer import Change, Informer
from rke2.kube.objects import Key, Object
from rke2.kube.persistence import lasting
from rke2.kube.resources import NODES
from rke2.kube.workqueue import WorkQueue
from tests.unit.supervisor.kube import Kube

BAD, GOOD = "bad", "good"


def node(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}


@asynccontextmanager
async def running(work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    async def run() -> None:
        await work()

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        assert not task.done(), task
        task.cancel()
        await asyncio.wait([task])


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_listener_that_fails_keeps_no_other_from_hearing(caplog: pytest.LogCaptureFixture) -> None:
    kube, heard = Kube(), []
    kube.put(NODES, node(BAD))
    kube.put(NODES, node(GOOD))
    informer = Informer(cast(Client, kube), NODES)

    def fails(change: Change) -> None:
        if change.key.name == BAD:
            raise KeyError("address")

    informer.listen(fails)
    informer.listen(lambda change: heard.append(change.key.name))
    async with running(informer.run):
        await asyncio.wait_for(informer.synced(), 10)
        kube.put(NODES, node("later"))
        await until(lambda: "later" in heard)
    assert sorted(heard) == [BAD, GOOD, "later"]
    assert "nodes" in caplog.text and "KeyError" in caplog.text


async def test_an_answer_that_cannot_be_understood_ends_no_watch() -> None:
    kube, lists = Kube(), 0
    kube.put(NODES, node(GOOD))
    real = kube.list

    async def fails_first(*arguments: Any, **options: Any) -> Any:
        nonlocal lists
        lists += 1
        if lists == 1:
            raise KeyError("metadata")
        return await real(*arguments, **options)

    kube.list = fails_first  # type: ignore[method-assign]
    informer = Informer(cast(Client, kube), NODES)
    async with running(informer.run):
        await asyncio.wait_for(informer.synced(), 10)
    assert lists == 2


async def test_a_key_that_fails_keeps_no_other_and_is_tried_again() -> None:
    runs: list[str] = []

    async def handler(key: Key) -> None:
        runs.append(key.name)
        if key.name == BAD and runs.count(BAD) < 3:
            raise ZeroDivisionError

    queue = WorkQueue("test", handler)
    async with running(queue.run):
        queue.add(Key("", BAD))
        await until(lambda: runs.count(BAD) == 3)
        queue.add(Key("", GOOD))
        await until(lambda: GOOD in runs)


async def test_an_event_that_cannot_be_delivered_keeps_no_other() -> None:
    created: list[str] = []

    class Api:
        async def create(self, resource: object, event: Object) -> Object:
            if event["reason"] == BAD:
                raise TypeError("not serializable")
            created.append(event["reason"])
            return event

    recorder = EventRecorder(cast(Client, Api()), "test", "node")
    async with running(recorder.run):
        for reason in (BAD, GOOD):
            recorder.emit(node("n"), "Normal", reason, reason)
        await until(lambda: created == [GOOD])


async def test_work_that_fails_is_run_again_until_it_returns() -> None:
    errors = [ZeroDivisionError(), ExceptionGroup("several", [ValueError()])]

    async def work() -> None:
        if errors:
            raise errors.pop()

    await asyncio.wait_for(lasting("work", work, first=0.001), 10)
    assert errors == []


async def test_work_that_is_cancelled_ends() -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    async with running(lambda: lasting("work", work)):
        await asyncio.sleep(0.01)
