"""Restores with the real etcd and its tool: what comes back, what is refused, and what is put right."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import msgspec
import pytest

from rke2.errors import ComponentError, EtcdError, HostError, JoinError
from rke2.etcd.membership import Self
from rke2.etcd.messages import ALARM_ACTIVATE, ALARM_NOSPACE, AlarmRequest, AlarmResponse
from rke2.kube.apiservers import KEY
from rke2.snapshots import compression, receiving, record, restoring
from rke2.snapshots.member import put_right, temporary_member
from tests.binaries import binary
from tests.integration.etcd.cluster import Network, Server
from tests.integration.snapshots.test_saving import snapshots

pytestmark = pytest.mark.content

TOKEN = "0123456789ab"


async def taken(server: Server, monkeypatch: pytest.MonkeyPatch, **values: bytes) -> Path:
    """A snapshot of a member with `values` and a NOSPACE alarm."""
    async with server.connect() as client:
        for key, value in values.items():
            await client.put(key, value)
        await client.put(KEY, b'["192.0.2.1:6443"]')
        own = (await client.status()).member_id
        request = AlarmRequest(ALARM_ACTIVATE, own, ALARM_NOSPACE)
        await client._write("Maintenance/Alarm", request, AlarmResponse)
        made = snapshots(server, client, monkeypatch)
        return made.directory / (await made.save(made.wish())).created[0]


async def restored(server: Server, source: Path, scratch: Path) -> Path:
    scratch.mkdir(exist_ok=True)
    snapshot = restoring.check(source, TOKEN, scratch)
    await restoring.restore(snapshot, server.own, binary("etcdutl"), scratch / "etcd")
    return scratch / "etcd"


async def test_a_restored_member_is_alone_and_ahead(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await network.alone()
    source = await taken(first, monkeypatch, a=b"one")
    async with first.connect() as client:
        before = await client.status()
    first.kill()
    assert before.header
    zipped = compression.compress(source, 1700000000)
    scratch = tmp_path / "scratch"
    data = await restored(first, zipped, scratch)
    async with temporary_member(first.config, first.own, data, scratch, binary("etcd")) as client:
        await put_right(client, first.own)
        found = await client.get("a")
        assert found and found.value == b"one"
        status, (member,) = await client.status(), await client.members()
        assert status.header and status.header.cluster_id != before.header.cluster_id
        assert member.id != before.member_id and member.peer_urls == (first.own.peer_url,)
        assert status.header.revision > before.header.revision + restoring.BUMP - 1
        assert await client.alarms() == ()
        addresses = await client.get(KEY)
        assert addresses and addresses.value == b""


async def test_one_of_three_goes_on_alone(network: Network, tmp_path: Path) -> None:
    first, second, third = await network.three()
    async with first.connect() as client:
        await client.put("a", b"one")
    # In order: one that is killed has not written down that its last entries are committed, and drops them.
    for each in (first, second, third):
        assert each.process
        each.process.terminate()
        each.process.wait(30)
    scratch, data = tmp_path / "scratch", first.config.paths.etcd
    scratch.mkdir()
    async with temporary_member(
        first.config, first.own, data, scratch, binary("etcd"), force_new_cluster=True
    ) as client:
        await put_right(client, first.own)
        (member,) = await client.members()
        assert member.peer_urls == (first.own.peer_url,)
        found = await client.get("a")
        assert found and found.value == b"one"


async def test_a_snapshot_that_cannot_be_restored_is_refused(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await network.alone()
    source = await taken(first, monkeypatch, a=b"one")
    content = source.read_bytes()
    damaged = tmp_path / "snapshots" / "damaged"
    damaged.parent.mkdir()
    for changed, words in (
        (content[:-100], "sha256 checksum not found"),
        (content[:5000] + b"x" + content[5001:], "expected sha256"),
        (content[:-32], "sha256 checksum not found"),
        (b"", "sha256 checksum not found"),
    ):
        damaged.write_bytes(changed)
        with pytest.raises(EtcdError, match=words):
            restoring.check(damaged, TOKEN, tmp_path)
    # A file with a right sum that is no database gets as far as etcd's tool.
    nonsense = b"no database" * 512
    damaged.write_bytes(nonsense + hashlib.sha256(nonsense).digest())
    snapshot = restoring.check(damaged, TOKEN, tmp_path)
    with pytest.raises(EtcdError, match="damaged cannot be restored: "):
        await restoring.restore(snapshot, first.own, binary("etcdutl"), tmp_path / "etcd")


def test_a_snapshot_of_another_token_is_refused_by_its_record(tmp_path: Path) -> None:
    path = tmp_path / "snapshots" / "s-n-1"
    path.parent.mkdir()
    path.write_bytes(b"")
    record.write(path, record.Record(node="n", taken=1, version="v", token_hash="ffffffffffff"), {})
    with pytest.raises(JoinError, match="bootstrap data already found and encrypted with different token"):
        restoring.check(path, TOKEN, tmp_path)


def test_a_snapshot_that_has_no_room_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "snapshots" / "s-n-1"
    path.parent.mkdir()
    path.write_bytes(b"")
    record.write(path, record.Record(node="n", taken=1, version="v", size=1 << 60), {})
    with pytest.raises(HostError, match="MiB are free"):
        restoring.check(path, TOKEN, tmp_path)


def test_a_snapshot_is_found_by_path_or_name(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"")
    assert restoring.find(tmp_path / "s", Path("/nowhere")) == tmp_path / "s"
    assert restoring.find(Path("s"), tmp_path) == tmp_path / "s"
    with pytest.raises(EtcdError, match="etcd: snapshot path does not exist: t"):
        restoring.find(Path("t"), tmp_path)
    with pytest.raises(EtcdError, match="etcd: snapshot path must be a file, not a directory"):
        restoring.find(tmp_path, Path("/nowhere"))


async def test_a_member_whose_host_has_another_address_follows(network: Network, tmp_path: Path) -> None:
    first = await network.alone()
    async with first.connect() as client:
        await client.put("a", b"one")
    assert first.process
    first.process.terminate()
    first.process.wait(30)
    moved = replace(first.config, node=replace(first.config.node, ips=(ip_address("192.0.2.77"),)))
    own = Self.of(moved, first.own.name)
    async with temporary_member(
        moved, own, first.config.paths.etcd, tmp_path, binary("etcd"), force_new_cluster=True
    ) as client:
        await put_right(client, own)
        (member,) = await client.members()
        assert member.peer_urls == ("https://192.0.2.77:2380",)


async def test_data_that_etcd_cannot_open_is_told_in_its_words(network: Network, tmp_path: Path) -> None:
    server = network.server("first")
    (tmp_path / "etcd/member/snap").mkdir(parents=True)
    (tmp_path / "etcd/member/snap/db").write_bytes(b"no database" * 1000)
    with pytest.raises(ComponentError, match=r"etcd ended \(.*\) on the data in "):
        async with temporary_member(server.config, server.own, tmp_path / "etcd", tmp_path, binary("etcd")):
            pass


@pytest.mark.root
async def test_a_disk_that_is_full_says_nothing_of_the_snapshot(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody fills it after there was room: etcd's own tool fails, with a log that it wants to allocate."""
    first = await network.alone()
    source = await taken(first, monkeypatch, a=b"one")
    snapshot = restoring.check(source, TOKEN, tmp_path)
    with small_disk(tmp_path / "small", restoring.LOG // 4) as small:
        with pytest.raises(HostError, match=rf"no space left on device in {small}") as caught:
            await restoring.restore(snapshot, first.own, binary("etcdutl"), small / "etcd")
        assert "free space" in caught.value.remedy and "another snapshot" not in str(caught.value)
        with pytest.raises(HostError, match=r"needs 12\d MiB in .*, where 3\d MiB are free"):
            restoring.check(source, TOKEN, small)


@contextmanager
def small_disk(directory: Path, size: int) -> Iterator[Path]:
    """A disk of so many bytes at `directory`."""
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "small", directory], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)


async def test_what_etcds_tool_writes_is_what_is_asked_for(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await network.alone()
    source = await taken(first, monkeypatch, **{f"{number}": bytes(1_000_000) for number in range(20)})
    data = await restored(first, source, tmp_path / "scratch")
    written = sum(path.stat().st_blocks * 512 for path in data.rglob("*"))
    assert source.stat().st_size < written <= source.stat().st_size + restoring.LOG


async def test_one_of_a_later_etcd_is_refused_before_anything_is_made(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await network.alone()
    source = await taken(first, monkeypatch, a=b"one")
    known = record.read_record(source)
    assert known
    record.write(source, msgspec.structs.replace(known, storage_version="3.99.0", version="v1.99.0"), {})
    snapshot = restoring.check(source, TOKEN, tmp_path)
    with pytest.raises(
        EtcdError, match=r"it is of etcd 3\.99\.0, and this release of rke2 has etcd 3\."
    ) as caught:
        await restoring.restore(snapshot, first.own, binary("etcdutl"), tmp_path / "new/etcd")
    assert "v1.99.0" in caught.value.remedy
    assert not (tmp_path / "new").exists() or not list((tmp_path / "new").rglob("*.db"))


async def test_between_two_minors(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the earlier etcd gave is restored by the later one; what that gives then the earlier one refuses."""
    later = Path(__file__).parents[3] / "build/v1.37/dist/bin"
    if not later.is_dir() or binary("etcdutl").is_relative_to(later):
        pytest.skip(f"{later} is not built, or is what is tested")
    first = await network.alone()
    source = await taken(first, monkeypatch, a=b"one")
    scratch, again = tmp_path / "scratch", tmp_path / "again"
    scratch.mkdir()
    snapshot = restoring.check(source, TOKEN, scratch)
    await restoring.restore(snapshot, first.own, later / "etcdutl", scratch / "etcd")
    async with temporary_member(first.config, first.own, scratch / "etcd", scratch, later / "etcd") as client:
        await put_right(client, first.own)
        found = await client.get("a")
        assert found and found.value == b"one"
        async with asyncio.timeout(30):
            while (await client.status()).storage_version != "3.7.0":
                await asyncio.sleep(0.2)
        await receiving.receive(client.snapshot(client.endpoints[0]), again)
    # Without a record, too: the file itself tells.
    refused = restoring.check(again, TOKEN, scratch)
    with pytest.raises(EtcdError, match=r"it is of etcd 3\.7\.0, and this release of rke2 has etcd 3\.6\."):
        await restoring.restore(refused, first.own, binary("etcdutl"), tmp_path / "new/etcd")
    assert not list((tmp_path / "new").rglob("*.db"))
