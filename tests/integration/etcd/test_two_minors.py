"""Two minor versions of etcd on the same data: what `rke2.etcd.held` stands on, with the programs of both lines."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from rke2.etcd.database import storage_version
from rke2.etcd.messages import DOWNGRADE_ENABLE
from rke2.etcd.minor import EtcdMinor
from rke2.staticpods import etcd_config
from tests.integration.etcd.cluster import Network, Server, eventually

pytestmark = pytest.mark.content

BUILD = Path(__file__).resolve().parents[3] / "build"
V36, V37 = EtcdMinor(3, 6), EtcdMinor(3, 7)


def etcd_of(content: Path) -> Path:
    program = content / "bin/etcd"
    if not program.is_file():
        pytest.skip(f"{program} is not built: make content RELEASE={content.parent.name}")
    return program


@pytest.fixture(scope="module")
def old() -> Path:
    return etcd_of(BUILD / "dist")


@pytest.fixture(scope="module")
def new() -> Path:
    return etcd_of(BUILD / "v1.37/dist")


async def exchange(server: Server, program: Path) -> None:
    server.kill()
    server.program = program
    server.restart()
    await server.ready()


async def storage(server: Server) -> str:
    async with server.connect() as client:
        return (await client.status(server.endpoint)).storage_version


def in_files(servers: Iterable[Server]) -> list[EtcdMinor | None]:
    return [storage_version(each.config.paths) for each in servers]


@pytest.fixture
def of_old(network: Network, old: Path) -> Network:
    network.program = old
    return network


@pytest.mark.parametrize("keys", [0, 3000])
async def test_the_storage_version_is_read_while_etcd_runs_and_after_it(
    of_old: Network, new: Path, keys: int
) -> None:
    """With many keys the tree has branches, with none it is a page."""
    server = await of_old.alone()
    async with server.connect() as client:
        for number in range(keys):
            await client.put(f"key/{number:06}", b"x" * 600)
    await eventually(lambda: in_files([server]) == [V36])
    assert await storage(server) == "3.6.0"
    await exchange(server, new)
    await eventually(lambda: in_files([server]) == [V37])
    assert await storage(server) == "3.7.0"
    server.kill()
    assert in_files([server]) == [V37]


async def test_the_former_etcd_does_not_start_on_raised_data(of_old: Network, old: Path, new: Path) -> None:
    server = await of_old.alone()
    await exchange(server, new)
    await eventually(lambda: in_files([server]) == [V37])
    server.kill()
    server.program = old
    server.restart()
    assert server.process
    assert server.process.wait(60) != 0
    assert r"version \"3.7.0\" is not supported" in server.log.read_text()


async def test_the_data_rise_with_the_last_member(of_old: Network, old: Path, new: Path) -> None:
    servers = await of_old.three()
    await eventually(lambda: in_files(servers) == [V36] * 3)
    await exchange(servers[0], new)
    await exchange(servers[1], new)
    assert in_files(servers) == [V36] * 3
    # While one holds the former one, any other goes back by itself.
    await exchange(servers[0], old)
    await exchange(servers[0], new)
    await exchange(servers[2], new)
    await eventually(lambda: in_files(servers) == [V37] * 3)


async def test_a_later_etcd_joins_a_held_cluster(of_old: Network, new: Path) -> None:
    first = await of_old.alone()
    second = of_old.server("second")
    second.program = new
    async with first.looked_after():
        await second.join(first)
    # A member that has just begun has no storage version yet.
    await eventually(lambda: in_files([first, second]) == [V36] * 2)


@pytest.mark.parametrize("which", ["old", "new"])
def test_both_have_every_key_of_the_configuration_file(
    network: Network, which: str, request: pytest.FixtureRequest
) -> None:
    """etcd ignores keys of the file that it does not know, without a word."""
    program: Path = request.getfixturevalue(which)
    server = network.server("first")
    made = etcd_config.document(
        server.config, server.own.name, etcd_config.single_member(server.config, server.own.name)
    )
    flags = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    blocks = {"client-transport-security", "peer-transport-security", "socket-options"}
    missing = [key for key in made if key not in blocks and f"--{key}" not in flags]
    assert not missing
    assert "InitialCorruptCheck=true|false" in flags


async def test_the_way_back_over_etcd_s_downgrade(of_old: Network, old: Path, new: Path) -> None:
    servers = await of_old.three()
    for each in servers:
        await exchange(each, new)
    await eventually(lambda: in_files(servers) == [V37] * 3)
    async with servers[0].connect() as client:
        await client.downgrade(DOWNGRADE_ENABLE, "3.6")
    await eventually(lambda: in_files(servers) == [V36] * 3)
    for each in servers:
        await exchange(each, old)
    assert [await storage(each) for each in servers] == ["3.6.0"] * 3
