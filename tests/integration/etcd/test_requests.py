"""Requests to the real etcd: keys, alarms, and going on when members fail."""

from __future__ import annotations

import asyncio
import time

import pytest

from rke2.errors import EtcdError
from rke2.etcd import messages
from rke2.etcd.messages import ALARM_ACTIVATE, ALARM_NOSPACE, AlarmRequest, AlarmResponse
from rke2.etcd.readiness import member_problem
from tests.integration.etcd.cluster import Network, Server

pytestmark = pytest.mark.content

KEY = "/bootstrap/0123456789ab"


async def test_keys_are_created_once_and_replaced_only_unchanged(network: Network) -> None:
    first = await network.alone()
    async with first.connect() as client:
        assert await client.get(KEY) is None
        assert await client.create(KEY, b"")
        assert not await client.create(KEY, b"second")
        lock = await client.get(KEY)
        assert lock and lock.value == b""
        assert await client.replace(KEY, b"value\x00\xff", lock.mod_revision)
        assert not await client.replace(KEY, b"late", lock.mod_revision)
        assert not await client.delete_unchanged(KEY, lock.mod_revision)
        await client.put("/bootstrap/other", b"o" * 1_000_000)
        await client.put("/bootstraq", b"not below the prefix")
        found = await client.get_prefix("/bootstrap/")
        assert [each.key.decode() for each in found] == [KEY, "/bootstrap/other"]
        assert found[0].value == b"value\x00\xff"
        keys = await client.get_prefix("/bootstrap/", keys_only=True)
        assert [(each.key, each.mod_revision) for each in keys] == [(e.key, e.mod_revision) for e in found]
        assert not any(each.value for each in keys)
        assert await client.delete_unchanged(KEY, found[0].mod_revision)
        assert not await client.delete(KEY)
        assert await client.delete("/bootstrap/other")
        assert len(await client.get_prefix("")) == 1


async def test_a_member_tells_its_program_and_the_version_of_its_data(network: Network) -> None:
    """The data have the program's minor version as soon as every member has it, which is soon after the start."""
    first = await network.alone()
    async with first.connect() as client:
        give_up = time.monotonic() + 30
        while not (status := await client.status()).storage_version and time.monotonic() < give_up:
            await asyncio.sleep(0.2)
    assert status.storage_version.split(".")[:2] == status.version.split(".")[:2]
    assert status.storage_version.endswith(".0")


async def test_a_full_member_is_freed_at_the_start_only(network: Network) -> None:
    first = await network.alone()
    async with first.connect() as client:
        own_id = (await client.status()).member_id
        activate = AlarmRequest(ALARM_ACTIVATE, own_id, ALARM_NOSPACE)
        await client._write("Maintenance/Alarm", activate, AlarmResponse)
        with pytest.raises(EtcdError, match="database space exceeded") as error:
            await client.put("k", b"v")
        assert error.value.code == "RESOURCE_EXHAUSTED"
        problem = await member_problem(client, first.endpoint, first.own)
        assert problem.startswith("etcd cluster errors: ") and "NOSPACE" in problem
        assert await member_problem(client, first.endpoint, first.own, maintenance=True) == ""
        await client.put("k", b"v")
        corrupt = AlarmRequest(ALARM_ACTIVATE, own_id, messages.ALARM_CORRUPT)
        await client._write("Maintenance/Alarm", corrupt, AlarmResponse)
        problem = await member_problem(client, first.endpoint, first.own, maintenance=True)
        assert "CORRUPT" in problem


async def test_a_member_under_another_name_is_told_what_was_found(network: Network) -> None:
    first = await network.alone()
    name, address = first.own.name, str(first.config.node.ips[0])
    first.config.paths.etcd.joinpath("name").unlink()
    async with first.connect() as client:
        problem = await member_problem(client, first.endpoint, first.own)
    assert problem == (
        "this server is a not a member of the etcd cluster. "
        f"Found [{name}=https://{address}:2380], expect: {first.own.name}={address}"
    )


async def leader_of(servers: tuple[Server, ...]) -> Server:
    async with servers[0].connect() as client:
        leader = (await client.status()).leader
        members = {each.name: each.id for each in await client.members()}
    return next(each for each in servers if members[each.own.name] == leader)


async def test_requests_go_on_when_the_leader_is_killed(network: Network) -> None:
    servers = await network.three()
    leader = await leader_of(servers)
    others = [each.endpoint for each in servers if each is not leader]
    async with leader.connect([leader.endpoint, *others]) as client:
        await client.put("k", b"before")
        leader.kill()
        async with asyncio.timeout(60):
            while True:
                try:
                    await client.put("k", b"after")
                    break
                except EtcdError as error:
                    assert error.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED"), error
                    await asyncio.sleep(0.1)
        stored = await client.get("k")
        assert stored and stored.value == b"after"
        assert client.endpoints[0] != leader.endpoint


async def test_a_client_is_back_soon_after_an_outage(network: Network) -> None:
    first = await network.alone()
    async with first.connect() as client:
        first.kill()
        end = time.monotonic() + 4
        while time.monotonic() < end:  # long enough for a doubling backoff to become noticeable
            with pytest.raises(EtcdError, match="cannot connect") as error:
                await client.status(timeout=5)
            assert error.value.code == "UNAVAILABLE"
            await asyncio.sleep(0.1)
        first.restart()
        await first.ready()
        begin = time.monotonic()
        while True:
            try:
                await client.status()
                break
            except EtcdError:
                await asyncio.sleep(0.05)
        assert time.monotonic() - begin < 5


async def test_a_client_of_another_authority_is_refused_and_says_so(network: Network) -> None:
    first = await network.alone()
    other = Network(network.folder / "elsewhere").server("other")
    async with other.connect([first.endpoint]) as client:
        with pytest.raises(EtcdError, match=first.endpoint):
            await client.members(timeout=5)
