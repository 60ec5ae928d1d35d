"""When a server takes its control plane away, and when it must not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import pytest

from rke2.config.paths import Paths
from rke2.controllers import self_delete as module
from rke2.controllers.datastore import REMOVE, REMOVED_NODE_NAME
from rke2.controllers.self_delete import CONTROL_PLANE, SelfDelete
from rke2.etcd.member_files import write_tombstone
from rke2.kube.informer import Change, Informer
from rke2.kube.objects import Key, Object
from tests.configs import paths_under

from .etcds import UNAVAILABLE, FakeEtcd, member

KEY = Key("", "node1")
PLAIN: Object = {"metadata": {"name": "node1"}}
DELETING: Object = {"metadata": {"name": "node1", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
REMOVED: Object = {"metadata": {"name": "node1", "annotations": {REMOVE: "true"}}}
OLD_REMOVAL: Object = {
    "metadata": {"name": "node1", "annotations": {REMOVE: "true", REMOVED_NODE_NAME: "node1-ffffffff"}}
}


class OwnNode:
    """An informer that is told what to tell."""

    def __init__(self, node: Object) -> None:
        self.objects: dict[Key, Object] = {KEY: node}
        self._listener: Callable[[Change], None] = lambda _: None

    def listen(self, listener: Callable[[Change], None]) -> None:
        self._listener = listener

    def becomes(self, node: Object | None) -> None:
        self._listener(Change(KEY, self.objects.get(KEY), node))
        if node is None:
            del self.objects[KEY]
        else:
            self.objects[KEY] = node


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = paths_under(tmp_path)
    made.pod_manifests.mkdir(parents=True)
    for name in (*CONTROL_PLANE, "kube-proxy"):
        (made.pod_manifests / f"{name}.yaml").write_text("{}")
    return made


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.001)


@asynccontextmanager
async def running(
    paths: Paths, own: OwnNode, etcd: FakeEtcd, name: str = "node1-00000001"
) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(SelfDelete(paths, cast(Informer, own), etcd, name).run())
    try:
        await asyncio.sleep(0)
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def asked(etcd: FakeEtcd, times: int = 5) -> None:
    """Until etcd was asked some more times."""
    goal = etcd.asked + times
    async with asyncio.timeout(5):
        while etcd.asked < goal:
            await asyncio.sleep(0.001)


def left(paths: Paths) -> set[str]:
    return {path.stem for path in paths.pod_manifests.iterdir()}


ALL = {*CONTROL_PLANE, "kube-proxy"}


@pytest.mark.parametrize("request_", [DELETING, REMOVED, None])
async def test_the_control_plane_goes_after_the_member(paths: Paths, request_: Object | None) -> None:
    own, etcd = OwnNode(PLAIN), FakeEtcd([member(1), member(2)])
    async with running(paths, own, etcd) as task:
        own.becomes(request_)
        await asked(etcd)
        assert left(paths) == ALL, "the member is still in the cluster"
        await etcd.remove(1)
        async with asyncio.timeout(5):
            await task
    assert left(paths) == {"kube-proxy"}


async def test_a_request_from_before_the_start_counts(paths: Paths) -> None:
    async with running(paths, OwnNode(REMOVED), FakeEtcd([member(2)])) as task, asyncio.timeout(5):
        await task
    assert left(paths) == {"kube-proxy"}


async def test_silence_proves_nothing_and_a_tombstone_everything(paths: Paths) -> None:
    own, etcd = OwnNode(REMOVED), FakeEtcd([member(1)])
    etcd.fault = UNAVAILABLE
    async with running(paths, own, etcd) as task:
        await asked(etcd)
        assert left(paths) == ALL
        write_tombstone(paths)
        async with asyncio.timeout(5):
            await task
    assert left(paths) == {"kube-proxy"}


async def test_a_request_that_was_refused_is_forgotten(paths: Paths) -> None:
    own, etcd = OwnNode(REMOVED), FakeEtcd([member(1)])
    async with running(paths, own, etcd) as task:
        await asked(etcd)
        own.becomes(PLAIN)
        await asyncio.sleep(0.01)
        before = etcd.asked
        etcd.present.clear()
        await asyncio.sleep(0.05)
        assert etcd.asked == before
        assert not task.done()
        assert left(paths) == ALL
        own.becomes(DELETING)
        async with asyncio.timeout(5):
            await task
    assert left(paths) == {"kube-proxy"}


async def test_the_annotations_of_an_earlier_removal_ask_nothing(paths: Paths) -> None:
    own, etcd = OwnNode(OLD_REMOVAL), FakeEtcd([])
    async with running(paths, own, etcd):
        await asyncio.sleep(0.02)
        assert etcd.asked == 0
        assert left(paths) == ALL
        own.becomes(REMOVED)
        async with asyncio.timeout(5):
            while left(paths) != {"kube-proxy"}:
                await asyncio.sleep(0.001)


async def test_a_server_without_etcd_obeys_at_once(paths: Paths) -> None:
    own, etcd = OwnNode(PLAIN), FakeEtcd([member(2)])
    async with running(paths, own, etcd, name="") as task:
        own.becomes(DELETING)
        async with asyncio.timeout(5):
            await task
    assert etcd.asked == 0
    assert left(paths) == {"kube-proxy"}
