"""From a stream to a file: whole and right, or not there."""

from __future__ import annotations

import asyncio
import hashlib
import zipfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rke2.errors import EtcdError, HostError
from rke2.etcd.messages import SnapshotResponse
from rke2.snapshots import compression
from rke2.snapshots.receiving import Summed, check_file, receive

DATABASE = bytes(range(256)) * 2 * 40
SUM = hashlib.sha256(DATABASE).digest()


async def stream(parts: Sequence[bytes], failure: Exception | None = None) -> AsyncIterator[SnapshotResponse]:
    for part in parts:
        yield SnapshotResponse(blob=part, version="3.6.0")
        await asyncio.sleep(0)
    if failure:
        raise failure


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


async def test_a_snapshot_is_its_stream(tmp_path: Path) -> None:
    target = tmp_path / "s-n-1"
    received = await receive(stream([*pieces(DATABASE, 1000), SUM]), target)
    assert target.read_bytes() == DATABASE + SUM
    assert (received.size, received.sha256, received.version) == (len(DATABASE) + 32, SUM.hex(), "3.6.0")
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["s-n-1"]
    assert check_file(target).sha256 == SUM.hex()


@given(st.data())
@settings(max_examples=50)
def test_the_sum_does_not_depend_on_where_the_stream_is_cut(data: st.DataObject) -> None:
    whole, summed = DATABASE + SUM, Summed()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=10)))
    for begin, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        summed.feed(whole[begin:end])
    assert summed.check("it") == SUM.hex()


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([DATABASE], "sha256 checksum not found"),
        ([DATABASE[:-1], SUM], "sha256 checksum not found"),
        ([DATABASE[:512], SUM], "expected sha256 "),
        ([b"x" + DATABASE[1:], SUM], "expected sha256 "),
        ([], "sha256 checksum not found"),
    ],
)
async def test_a_damaged_stream_leaves_no_file(tmp_path: Path, parts: list[bytes], reason: str) -> None:
    with pytest.raises(EtcdError, match=reason):
        await receive(stream(parts), tmp_path / "s-n-1")
    assert list(tmp_path.iterdir()) == []


async def test_a_stream_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(EtcdError, match="gone"):
        await receive(stream(pieces(DATABASE, 500), EtcdError("gone")), tmp_path / "s-n-1")
    assert list(tmp_path.iterdir()) == []


async def test_a_cancelled_save_leaves_no_file(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[SnapshotResponse]:
        while True:
            yield SnapshotResponse(blob=b"x" * 4096)
            await asyncio.sleep(0)

    task = asyncio.create_task(receive(endless(), tmp_path / "s-n-1"))
    while not list(tmp_path.iterdir()):
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(tmp_path.iterdir()) == []


async def test_a_disk_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=f"cannot write {tmp_path}/missing/s-n-1"):
        await receive(stream([DATABASE, SUM]), tmp_path / "missing" / "s-n-1")


async def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "s-n-1.part").symlink_to(victim)
    await receive(stream([DATABASE, SUM]), tmp_path / "s-n-1")
    assert victim.read_text() == "precious"


def test_a_compressed_snapshot_comes_back(tmp_path: Path) -> None:
    raw = tmp_path / "s-n-1700000000"
    raw.write_bytes(DATABASE + SUM)
    zipped = compression.compress(raw, 1700000000)
    assert [path.name for path in tmp_path.iterdir()] == ["s-n-1700000000.zip"]
    assert zipped.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(zipped) as archive:
        assert archive.namelist() == ["s-n-1700000000"]
    compression.decompress(zipped, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == DATABASE + SUM


def _zip(path: Path, *entries: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for entry in entries:
            archive.writestr(entry, DATABASE)
    return path


@pytest.mark.parametrize("entries", [(), ("a", "b"), ("folder/",)])
def test_a_zip_file_of_something_else_is_refused(tmp_path: Path, entries: tuple[str, ...]) -> None:
    with pytest.raises(EtcdError, match="unexpected compressed etcd snapshot contents"):
        compression.decompress(_zip(tmp_path / "x.zip", *entries), tmp_path / "out")


@pytest.mark.parametrize("cut", [0, 10, 5000])
def test_a_damaged_zip_file_is_refused(tmp_path: Path, cut: int) -> None:
    path = _zip(tmp_path / "x.zip", "s")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(EtcdError, match="cannot be decompressed"):
        compression.decompress(path, tmp_path / "out")


def test_an_entry_whose_sum_is_wrong_is_refused(tmp_path: Path) -> None:
    path = _zip(tmp_path / "x.zip", "s")
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(EtcdError, match="cannot be decompressed"):
        compression.decompress(path, tmp_path / "out")
