"""Servers that join, leave, and come back without their data, with the real etcd."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from rke2.errors import EtcdError, JoinError
from rke2.etcd import member_files, timing
from rke2.etcd.client import EtcdClient
from rke2.etcd.learners import PROGRESS_KEY, LearnerProgress, promote_learners
from rke2.etcd.membership import join
from rke2.etcd.messages import Member
from rke2.etcd.readiness import LEARNER, member_problem
from rke2.etcd.removal import leave, mark_if_removed
from rke2.staticpods import etcd_config
from tests.integration.etcd.cluster import Network, Server, eventually, settings

pytestmark = pytest.mark.content


async def listed(server: Server) -> tuple[Member, ...]:
    async with server.connect() as client:
        return await client.members()


async def voters_at(server: Server) -> set[str]:
    return {each.name.rpartition("-")[0] for each in await listed(server) if not each.is_learner}


async def test_three_servers_that_join_at_once_all_become_voters(network: Network) -> None:
    first = await network.alone()
    others = [network.server(name) for name in ("second", "third", "fourth")]
    assert settings(first)["election-timeout"] == etcd_config.ALONE.election
    async with first.looked_after(), asyncio.TaskGroup() as tasks:
        for each in others:
            tasks.create_task(each.join(first))
    assert await voters_at(first) == {"first", "second", "third", "fourth"}
    queued = [reason for each in others for reason in each.said if "one at a time" in reason]
    assert queued
    assert settings(first)["election-timeout"] == etcd_config.CLUSTER.election
    assert first.process and first.process.poll() is None, "etcd was restarted for its timing"
    assert [election for _, election in first.timings()] == ["1s"]
    options = etcd_config.single_member(first.config, first.own.name)
    assert timing.initial(first.config, options) == etcd_config.CLUSTER
    first.kill()
    first.restart()
    await first.ready()
    assert first.timings() == [("100ms", "1s"), ("500ms", "5s")]
    assert {each.name for each in member_files.remembered_members(first.config.paths)} >= {first.own.name}


async def test_a_learner_is_no_healthy_member_until_it_is_promoted(network: Network) -> None:
    first, second = await network.alone(), network.server("second")
    options = await join(second.config, second.own, lambda: listed(first))
    assert options.state == "existing"
    assert options.cluster == (
        f"{first.own.name}={first.own.peer_url},{second.own.name}={second.own.peer_url}"
    )
    second.start(options)
    async with first.connect() as client, second.connect() as own_client:
        problems: list[str] = []
        async with asyncio.timeout(60):
            while LEARNER not in problems:
                problems.append(await member_problem(own_client, second.endpoint, second.own))
                await asyncio.sleep(0.1)
        await eventually_started(client, second)
        assert [each.name for each in await client.members() if each.is_learner] == [second.own.name]
        assert await own_client.get("any", serializable=True) is None
    # A third is refused while there is a learner, and says so.
    third = network.server("third")
    waiting = asyncio.create_task(join(third.config, third.own, lambda: listed(first), say=third.said.append))
    await eventually(lambda: third.said)
    assert "one at a time" in third.said[0]
    assert not waiting.done()
    async with first.looked_after():
        third.start(await asyncio.wait_for(waiting, 60))
        await second.ready()
        await third.ready()


async def eventually_started(client: EtcdClient, server: Server) -> None:
    async with asyncio.timeout(60):
        while not any(each.name == server.own.name for each in await client.members()):
            await asyncio.sleep(0.1)


async def test_a_join_that_was_interrupted_goes_on_with_the_member_it_added(network: Network) -> None:
    first, second = await network.alone(), network.server("second")
    for _ in range(2):
        options = await join(second.config, second.own, lambda: listed(first))
    assert len(await listed(first)) == 2
    second.start(options)
    async with first.looked_after():
        await second.ready()


async def test_a_node_name_that_another_address_has_is_refused(network: Network) -> None:
    first = await network.alone()
    impostor = network.server("first")
    impostor_name = impostor.own.name
    with pytest.raises(JoinError, match="duplicate node name found") as error:
        await join(impostor.config, impostor.own, lambda: listed(first))
    assert "kubectl delete node first" in error.value.remedy
    assert impostor.own.name != impostor_name, "the name file was not removed"
    assert len(await listed(first)) == 1


async def removed(client: EtcdClient, member_id: int) -> None:
    """Remove a voter; etcd refuses while not all members have been connected for five seconds."""
    async with asyncio.timeout(60):
        while True:
            try:
                await client.remove(member_id)
                return
            except EtcdError as error:
                assert "unhealthy cluster" in error.message
                await asyncio.sleep(0.2)


async def test_a_removed_member_finds_out_and_joins_anew(network: Network) -> None:
    first, second, third = await network.three()
    old_name, paths = third.own.name, third.config.paths
    async with first.connect() as client:
        third_id = next(each.id for each in await client.members() if each.name == old_name)
        async with third.looked_after() as upkeep:
            # Remembered, but not out: the others still count on it.
            await eventually(lambda: len(member_files.remembered_members(paths)) == 3)
            assert not await mark_if_removed(paths, third.own, third.connect)
            await removed(client, third_id)
            process = third.process
            assert process
            await eventually(lambda: process.poll() is not None)
            await eventually(lambda: upkeep._failures > 2)
    assert await mark_if_removed(paths, third.own, third.connect)

    with pytest.raises(JoinError, match="was removed from its etcd cluster"):
        member_files.set_aside_removed(paths, joins=False)
    backup = member_files.set_aside_removed(paths, joins=True)
    assert backup and (backup / "member" / "wal").is_dir()
    assert third.own.name != old_name
    async with first.looked_after(), second.looked_after():
        await third.join(first)
    assert await voters_at(first) == {"first", "second", "third"}


async def test_a_server_that_lost_its_data_replaces_its_old_member(network: Network) -> None:
    first, second, third = await network.three()
    third.kill()
    old = third.own.name
    third.wipe()
    async with first.looked_after(), second.looked_after():
        await third.join(second)
    names = {each.name for each in await listed(first)}
    assert names == {first.own.name, second.own.name, third.own.name}
    assert old not in names


async def test_a_member_that_still_answers_is_not_replaced(network: Network) -> None:
    first, _, third = await network.three()
    again = network.server("third", address=str(third.config.node.ips[0]))
    with pytest.raises(JoinError, match="duplicate node name") as error:
        await join(again.config, again.own, lambda: listed(first))
    assert "it still answers" in error.value.remedy
    assert len(await listed(first)) == 3


async def test_a_join_waits_while_the_cluster_has_no_majority(network: Network) -> None:
    first, second, third = await network.three()
    members = await listed(first)
    second.kill()
    third.kill()
    third.wipe()

    async def remembered() -> Sequence[Member]:
        return members

    said: list[str] = []
    joining = asyncio.create_task(join(third.config, third.own, remembered, say=said.append))
    await eventually(lambda: said)
    assert not joining.done()
    second.restart()
    options = await asyncio.wait_for(joining, 60)
    assert third.own.name in options.cluster


async def test_a_learner_that_stands_still_is_removed(network: Network) -> None:
    first, second = await network.alone(), network.server("second")
    async with first.connect() as client:
        learner, members = await client.add_learner(second.own.peer_url)
        await promote_learners(client, first.endpoint, members)
        stored = await client.get(PROGRESS_KEY)
        assert stored
        record = LearnerProgress.decode(stored.value)
        assert record and record.id == learner.id
        past = datetime.now(UTC) - timedelta(minutes=6)
        await client.put(PROGRESS_KEY, LearnerProgress(learner.id, "", 0, past).encode())
        await promote_learners(client, first.endpoint, members)
        assert [each.name for each in await client.members()] == [first.own.name]


async def test_a_server_that_gives_up_etcd_leaves_the_cluster(network: Network) -> None:
    first, _, third = await network.three()
    members = await listed(first)
    third.kill()
    kept = await leave(third.config.paths, third.own, members, third.connect)
    assert kept and kept.name.startswith("etcd-old-")
    assert await voters_at(first) == {"first", "second"}
    assert await leave(third.config.paths, third.own, members, third.connect) is None
