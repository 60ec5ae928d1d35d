from __future__ import annotations

from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2.errors import JoinError
from rke2.etcd import member_files
from rke2.etcd.messages import Member
from rke2.staticpods import writer
from tests.configs import paths_under


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = paths_under(tmp_path)
    (paths.etcd / "member" / "wal").mkdir(parents=True)
    (paths.etcd / "name").write_text("n1-0")
    paths.pod_manifests.mkdir(parents=True)
    paths.pod_manifest("etcd").write_text("{}")
    return paths


def test_nothing_is_moved_without_a_tombstone(paths: Paths) -> None:
    assert member_files.set_aside_removed(paths, joins=True) is None
    assert member_files.initialised(paths)


def test_the_data_of_a_removed_member_is_kept_with_its_name(paths: Paths) -> None:
    member_files.remember_members(paths, [Member(1, "n1-0")])
    member_files.write_tombstone(paths)
    backup = member_files.set_aside_removed(paths, joins=True)
    assert backup and (backup / "name").read_text() == "n1-0"
    assert not member_files.initialised(paths)
    assert not paths.etcd.exists()
    assert writer.read(paths, "etcd") is None, "the old options would be used again"
    assert member_files.remembered_members(paths) == ()


def test_a_removed_member_without_a_server_to_join_does_not_begin_a_second_cluster(paths: Paths) -> None:
    member_files.write_tombstone(paths)
    with pytest.raises(JoinError) as error:
        member_files.set_aside_removed(paths, joins=False)
    assert str(paths.etcd / "tombstone") in error.value.remedy
    assert member_files.initialised(paths)


def test_the_newest_five_backups_are_kept(paths: Paths) -> None:
    for moment in (9, 10, 100, 2, 1, 3):
        paths.etcd.with_name(f"etcd-backup-{moment}").mkdir()
    paths.etcd.with_name("etcd-backup-before-the-move").mkdir()
    member_files.write_tombstone(paths)
    backup = member_files.set_aside_removed(paths, joins=True)
    assert backup
    left = {path.name for path in paths.etcd.parent.glob("etcd-backup-*")}
    assert left == {
        backup.name,
        "etcd-backup-before-the-move",
        *(f"etcd-backup-{moment}" for moment in (3, 9, 10, 100)),
    }


def test_a_server_without_etcd_keeps_its_former_data_aside(paths: Paths) -> None:
    moved = member_files.set_aside_former(paths)
    assert moved and moved.name.startswith("etcd-old-")
    assert member_files.set_aside_former(paths) is None


@pytest.mark.parametrize("content", [b"", b"null", b"\xff", b'{"members":5}'])
def test_an_unusable_list_of_members_is_none(paths: Paths, content: bytes) -> None:
    member_files.members_file(paths).write_bytes(content)
    assert member_files.remembered_members(paths) == ()
