"""What is looked at of a snapshot before its restore is agreed to."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2.errors import EtcdError
from rke2.recovery import plan
from rke2.snapshots.compression import FORMATS, compress

DATABASE = bytes(512)
SNAPSHOT = DATABASE + hashlib.sha256(DATABASE).digest()


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths(data_dir=tmp_path)
    found.token.parent.mkdir(parents=True)
    found.token.write_text("secret")
    return found


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    path = tmp_path / "db/snapshots/whole-server-0-1796026076"
    path.parent.mkdir(parents=True)
    path.write_bytes(SNAPSHOT)
    return path


async def made(paths: Paths, snapshot: Path) -> plan.Plan:
    return await plan.make(paths, "https://127.0.0.1:1", snapshot)


@pytest.mark.parametrize("how", ["", *FORMATS])
async def test_a_whole_snapshot_of_any_form_is_taken(paths: Paths, snapshot: Path, how: str) -> None:
    path = compress(snapshot, 1796026076, how) if how else snapshot
    assert (await made(paths, path)).restore.snapshot == str(path)


async def test_a_damaged_one_is_refused_before_anything_is_asked(paths: Paths, snapshot: Path) -> None:
    snapshot.write_bytes(b"x" + SNAPSHOT[1:])
    with pytest.raises(EtcdError, match="expected sha256"):
        await made(paths, snapshot)
