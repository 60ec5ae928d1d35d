"""Snapshots of the real etcd: they restore, whole, and cost no memory."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from rke2.config.model import NodeConfig, SnapshotSettings
from rke2.errors import EtcdError
from rke2.etcd.client import EtcdClient
from rke2.etcd.membership import join
from rke2.snapshots import compression, record
from rke2.snapshots.taking import Snapshots
from rke2.staticpods import etcd_config
from tests.binaries import binary
from tests.integration.etcd.cluster import LIMIT, Network, Server

pytestmark = pytest.mark.content


async def nothing() -> Mapping[str, str]:
    return {}


def snapshots(
    server: Server, client: EtcdClient, monkeypatch: pytest.MonkeyPatch, **settings: object
) -> Snapshots:
    monkeypatch.setattr("rke2.snapshots.taking.local_endpoint", lambda config: server.endpoint)
    return Snapshots(configured(server.config, **settings), client, nothing)


def configured(config: NodeConfig, **settings: object) -> NodeConfig:
    assert config.server
    return replace(config, server=replace(config.server, snapshots=replace(SnapshotSettings(), **settings)))  # type: ignore[arg-type]


def etcdutl(*words: object) -> str:
    return subprocess.run(
        [binary("etcdutl"), *map(str, words)], check=True, capture_output=True, text=True
    ).stdout


async def test_a_snapshot_restores_with_etcds_own_tool(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await network.alone()
    async with first.connect() as client:
        await client.put("/registry/a", b"one")
        for compress in (False, True):
            taken = snapshots(first, client, monkeypatch, compress=compress)
            name = (await taken.save(taken.wish())).created[0]
            path = taken.directory / name
            if compress:
                compression.decompress(path, tmp_path / "raw")
                path = tmp_path / "raw"
            status = json.loads(etcdutl("snapshot", "status", path, "-w", "json"))
            storage = (await client.status()).storage_version
            assert status["version"] == storage != ""
            etcdutl("snapshot", "restore", path, "--data-dir", tmp_path / f"restored-{compress}")
            about = record.read_record(taken.directory / name)
            assert about and about.revision == status["revision"] and about.storage_version == storage
            assert about.member == f"{(await client.status()).member_id:x}"


@pytest.mark.parametrize("megabytes", [150, pytest.param(2200, marks=pytest.mark.long)])
async def test_a_large_database_costs_no_memory(
    network: Network, monkeypatch: pytest.MonkeyPatch, megabytes: int
) -> None:
    """Of 150 MB, and of more than 2 GiB; the disk must have room for that twice."""
    usual = etcd_config.document
    monkeypatch.setattr(
        etcd_config, "document", lambda *which, **how: usual(*which, **how) | {"quota-backend-bytes": 4 << 30}
    )
    first = await network.alone()
    async with first.connect() as client:
        for number in range(megabytes):
            await client.put(f"/registry/large/{number}", number.to_bytes(2, "big") * 500_000)
        taken = snapshots(first, client, monkeypatch)
        path = await _saved(taken)  # what the first one loads is not counted
        path.unlink()
        before = _peak(reset=True)
        path = await _saved(taken)
        rise = _peak() - before
        print(f"{path.stat().st_size >> 20} MiB: resident memory {rise / 2**20:+.1f} MiB")
        assert path.stat().st_size > megabytes * 1_000_000
        assert rise < 40 << 20


async def _saved(taken: Snapshots) -> Path:
    return taken.directory / (await taken.save(taken.wish())).created[0]


async def test_a_member_that_is_killed_meanwhile_leaves_no_file(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await network.alone()
    async with first.connect() as client:
        for number in range(60):
            await client.put(f"/registry/{number}", number.to_bytes(2, "big") * 500_000)
        taken = snapshots(first, client, monkeypatch)
        saving = asyncio.create_task(taken.save(taken.wish()))
        while not (
            taken.directory.is_dir() and any(each.stat().st_size for each in taken.directory.iterdir())
        ):
            await asyncio.sleep(0.005)
        first.kill()
        with pytest.raises(EtcdError):
            await saving
        assert list(taken.directory.iterdir()) == []
        assert [failed.name.startswith("etcd-snapshot-first-") for failed in taken.failed] == [True]
        with pytest.raises(EtcdError, match=r"failed to check etcd status for snapshot: .*cannot connect"):
            await taken.save(taken.wish())


async def test_a_learner_gives_none(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await network.alone()
    second = network.server("second")
    async with first.connect() as client, asyncio.timeout(LIMIT):
        options = await join(second.config, second.own, client.members)
    second.start(options)
    async with second.connect() as client:
        async with asyncio.timeout(LIMIT):
            while not await _is_learner(client):
                await asyncio.sleep(0.2)
        taken = snapshots(second, client, monkeypatch)
        assert (await taken.save(taken.wish())).created == []
        assert not taken.directory.exists()


async def _is_learner(client: EtcdClient) -> bool:
    try:
        return (await client.status()).is_learner
    except EtcdError:
        return False


def _peak(*, reset: bool = False) -> int:
    """This process' resident memory at its highest, in bytes, since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    line = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    return int(line.split()[1]) << 10
