from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from rke2.config.paths import Paths
from rke2.errors import EtcdError
from rke2.etcd import member_files
from rke2.etcd.client import EtcdClient
from rke2.etcd.learners import PROGRESS_KEY, LearnerProgress
from rke2.etcd.membership import Self
from rke2.etcd.messages import Member
from rke2.etcd.upkeep import FAILURES, Upkeep
from tests.configs import paths_under, server_config
from tests.unit.etcd.cluster import Cluster, member, unavailable

OWN = Self("n1", member(1).name, member(1).peer_urls[0])
LOCAL = member(1).client_urls[0]
NOT_IN_SYNC = EtcdError("can only promote a learner member which is in sync", code="FAILED_PRECONDITION")


def upkeep(cluster: Cluster, tmp_path: Path, others: Cluster | None = None) -> Upkeep:
    connect = (others or cluster).connect
    return Upkeep(server_config(paths_under(tmp_path)), OWN, cast(EtcdClient, cluster), connect, LOCAL)


async def run_until(each: Upkeep, condition: Callable[[], object]) -> None:
    task = asyncio.create_task(each.run(interval=0))
    async with asyncio.timeout(20):
        while not condition() and not task.done():
            await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def paths(tmp_path: Path) -> Upkeep:
    (paths_under(tmp_path).etcd).mkdir(parents=True)
    return upkeep(Cluster((member(1),)), tmp_path)


async def test_the_leader_promotes_whatever_fails_before(tmp_path: Path) -> None:
    paths(tmp_path)
    cluster = Cluster((member(1), member(2, is_learner=True)), up={1, 2})
    cluster.list_failures = [unavailable() for _ in range(3)]
    cluster.refusals = [unavailable(), NOT_IN_SYNC, EtcdError("leader changed", code="UNAVAILABLE")]
    await run_until(upkeep(cluster, tmp_path), lambda: not cluster.all[1].is_learner)
    record = LearnerProgress.decode(cluster.keys[PROGRESS_KEY])
    assert record and (record.id, record.name) == (2, member(2).name)


async def test_a_follower_promotes_nobody(tmp_path: Path) -> None:
    paths(tmp_path)
    cluster = Cluster((member(1), member(2, is_learner=True)), up={1, 2}, leader=3)
    await upkeep(cluster, tmp_path).look()
    assert cluster.all[1].is_learner


async def test_each_new_list_is_remembered_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    each = paths(tmp_path)
    lists: list[int] = []
    remember = member_files.remember_members

    def counted(paths: Paths, members: tuple[Member, ...]) -> None:
        lists.append(len(members))
        remember(paths, members)

    monkeypatch.setattr(member_files, "remember_members", counted)
    cluster = cast(Cluster, each.client)
    for _ in range(2):
        await each.look()
    cluster.all = (member(1), member(2))
    await each.look()
    # A list without us is not remembered: it is what a member sees that is being removed.
    cluster.all = (member(2),)
    await each.look()
    assert lists == [1, 2]
    assert member_files.remembered_members(each.config.paths) == (member(1), member(2))


async def test_a_member_that_was_removed_is_marked_and_the_loop_ends(tmp_path: Path) -> None:
    paths(tmp_path)
    dead = Cluster((), list_failures=[unavailable() for _ in range(10 * FAILURES)])
    each = upkeep(dead, tmp_path, others=Cluster((member(2), member(3))))
    member_files.remember_members(each.config.paths, (member(1), member(2), member(3)))
    async with asyncio.timeout(20):
        await each.run(interval=0)
    assert member_files.tombstone_file(each.config.paths).exists()


async def test_a_member_that_is_only_down_is_waited_for(tmp_path: Path) -> None:
    paths(tmp_path)
    down = Cluster((), list_failures=[unavailable() for _ in range(3 * FAILURES)])
    down.all = (member(1), replace(member(2), id=5))
    others = Cluster((member(1), member(2)))
    each = upkeep(down, tmp_path, others)
    member_files.remember_members(each.config.paths, (member(1), member(2)))
    await run_until(each, lambda: member_files.remembered_members(each.config.paths) == down.all)
    assert len(others.asked) == 3
    assert not member_files.tombstone_file(each.config.paths).exists()
