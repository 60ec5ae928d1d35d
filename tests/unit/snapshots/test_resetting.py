"""Files of a cluster reset: nothing is lost, whenever it is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2.errors import HostError
from rke2.etcd import member_files
from rke2.snapshots import resetting


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(data_dir=tmp_path)
    (made.etcd / "member/wal").mkdir(parents=True)
    (made.etcd / "member/data").write_text("old")
    member_files.members_file(made).write_text("{}")
    return made


def restored(paths: Paths) -> Path:
    place = resetting.fresh_scratch(paths) / "etcd"
    (place / "member/wal").mkdir(parents=True)
    (place / "member/data").write_text("new")
    return place


def data(paths: Paths) -> list[str]:
    return sorted(path.read_text() for path in paths.etcd.parent.glob("etcd-old-*/member/data"))


def test_the_old_data_stays_beside(paths: Paths) -> None:
    resetting.begin(paths, "rke2 server --cluster-reset")
    resetting.exchange(paths, restored(paths))
    resetting.finish(paths)
    assert (paths.etcd / "member/data").read_text() == "new"
    assert data(paths) == ["old"]
    assert paths.reset_flag.exists() and not paths.reset_scratch.exists()
    assert not paths.reset_unfinished.exists() and not member_files.members_file(paths).exists()
    resetting.refuse_unfinished(paths)
    with pytest.raises(
        HostError, match="Managed etcd cluster membership was previously reset, please remove"
    ):
        resetting.refuse_second(paths)


def test_killed_between_the_moves_it_refuses_to_start_and_does_it_again(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    resetting.begin(paths, "rke2 server --cluster-reset")
    place, moves = restored(paths), Path.rename

    def killed(self: Path, target: Path) -> Path:
        if self == place:
            raise KeyboardInterrupt
        return moves(self, target)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        resetting.exchange(paths, place)
    monkeypatch.undo()
    assert not paths.etcd.exists() and data(paths) == ["old"]
    with pytest.raises(
        HostError, match="a cluster reset was begun and not finished: rke2 server --cluster-reset"
    ):
        resetting.refuse_unfinished(paths)
    resetting.exchange(paths, restored(paths))
    resetting.finish(paths)
    assert (paths.etcd / "member/data").read_text() == "new" and data(paths) == ["old"]


def test_a_host_without_data_leaves_none_behind(tmp_path: Path) -> None:
    paths = Paths(data_dir=tmp_path)
    place = restored(paths)
    paths.etcd.mkdir(parents=True)
    (paths.etcd / "name").write_text("made by a start that was refused")
    resetting.exchange(paths, place)
    assert (paths.etcd / "member/data").read_text() == "new"
    assert list(paths.etcd.parent.glob("etcd-old-*")) == []
