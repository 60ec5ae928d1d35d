"""Files in a directory: what is listed, what the retention removes, and what it never touches."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.errors import HostError
from rke2.snapshots import directory, record
from rke2.snapshots.directory import SnapshotFile, list_snapshots, prepare, remove, surplus


def put(path: Path, content: bytes = b"data", mtime: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if mtime:
        os.utime(path, (mtime, mtime))
    return path


def snapshots(*names: str, where: Path = Path("/s")) -> list[SnapshotFile]:
    return [
        SnapshotFile(where / name, 1, int(name.removesuffix(".zip").rpartition("-")[2])) for name in names
    ]


def names(found: list[SnapshotFile]) -> list[str]:
    return [each.name for each in found]


def test_the_newest_of_the_own_name_and_node_stay() -> None:
    own = [f"etcd-snapshot-node1-{1700000000 + n}" for n in (3, 1, 2)] + [
        "etcd-snapshot-node1-1700000004.zip"
    ]
    others = [
        "etcd-snapshot-weekly-node1-1",
        "etcd-snapshot-node2-1",
        "on-demand-node1-1",
        "etcd-snapshot-node11-1",
    ]
    found = surplus(snapshots(*own, *others), "etcd-snapshot", "node1", 2, Path("/s"))
    assert names(found) == ["etcd-snapshot-node1-1700000001", "etcd-snapshot-node1-1700000002"]


@given(st.sets(st.integers(1, 10**10), max_size=12), st.integers(-2, 15))
def test_exactly_the_number_stays(times: set[int], retention: int) -> None:
    all_of_them = snapshots(*(f"s-n-{taken}" for taken in times))
    gone = surplus(all_of_them, "s", "n", retention, Path("/s"))
    left = sorted(times - {each.taken for each in gone})
    assert len(left) == (len(times) if retention < 1 else min(len(times), retention))
    assert left == sorted(times)[len(times) - len(left) :]


def test_the_one_just_taken_stays_though_the_clock_was_set_back() -> None:
    found = surplus(snapshots("s-n-5", "s-n-9", "s-n-7"), "s", "n", 2, Path("/s"), fresh="s-n-5")
    assert names(found) == ["s-n-7"]


def test_what_lies_deeper_is_listed_and_never_pruned(tmp_path: Path) -> None:
    kept = put(tmp_path / "keep" / "s-n-1")
    put(tmp_path / "s-n-2"), put(tmp_path / "s-n-3")
    listed = list_snapshots(tmp_path)
    assert names(listed) == ["s-n-1", "s-n-2", "s-n-3"]
    assert listed[0].location == f"file://{kept}"
    assert names(surplus(listed, "s", "n", 1, tmp_path)) == ["s-n-2"]


def test_a_listing_shows_files_and_nothing_else(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", put(tmp_path / "outside" / "secret")
    put(inside / "a-n-20", b"12345")
    put(inside / "without-a-time", mtime=10)
    put(inside / "a-n-30.part")
    (inside / "link").symlink_to(outside)
    (inside / "folder").symlink_to(outside.parent)
    os.mkfifo(inside / "pipe")
    found = list_snapshots(inside)
    assert [(each.name, each.taken, each.size) for each in found] == [
        ("without-a-time", 10, 4),
        ("a-n-20", 20, 5),
    ]
    assert list_snapshots(tmp_path / "missing") == []


def test_a_snapshot_goes_with_what_is_beside_it(tmp_path: Path) -> None:
    path = put(tmp_path / "snapshots" / "s-n-1")
    record.write(path, record.Record(node="n", taken=1, version="v"), {"why": "test"})
    assert list_snapshots(path.parent)[0].extra == {"why": "test"}
    assert record.read_record(path) == record.Record(node="n", taken=1, version="v")
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / ".metadata").iterdir()} == {0o600}
    remove(list_snapshots(path.parent)[0])
    assert not path.exists() and not list((tmp_path / ".metadata").iterdir())


def test_only_the_default_directory_is_made(tmp_path: Path) -> None:
    prepare(tmp_path / "default", make=True)
    assert (tmp_path / "default").stat().st_mode & 0o777 == 0o700
    with pytest.raises(HostError, match=r"failed to get etcd-snapshot-dir: stat .*/other: No such file"):
        prepare(tmp_path / "other", make=False)
    with pytest.raises(HostError, match="is not a directory"):
        prepare(put(tmp_path / "file"), make=False)


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    left, other = put(tmp_path / "s-n-1.part"), put(tmp_path / "movie.part")
    zipped = put(tmp_path / "s-n-1.zip.part")
    directory.remove_parts(tmp_path)
    assert not left.exists() and not zipped.exists() and other.exists()


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"a": 1}', b"\xff"])
def test_metadata_that_cannot_be_read_hides_no_snapshot(tmp_path: Path, content: bytes) -> None:
    path = put(tmp_path / "snapshots" / "s-n-1")
    put(record.metadata_file(path), content)
    put(record.record_file(path), content)
    assert list_snapshots(path.parent)[0].extra == {}
    assert record.read_record(path) is None
