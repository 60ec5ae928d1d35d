"""When the absence of a file means that it was removed, and when it does not."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from rke2.addons.holdings import DIRECTORIES, GRACE_SECONDS, IDENTITY_FILE, Holdings, directories_of
from rke2.addons.manifests import list_manifests
from rke2.kube.objects import Object


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")


def addon(name: str, source: Path, directories: str) -> Object:
    return {
        "metadata": {"name": name, "annotations": {DIRECTORIES: directories}},
        "spec": {"source": str(source)},
    }


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put(tmp_path / "root", "other.yaml")
    return tmp_path / "root"


def holding(root: Path, *names: str) -> Holdings:
    """The holdings of a directory that had the files `names`."""
    made = Holdings(root)
    made.identify()
    for name in names:
        made.add(Path(name).name.split(".")[0], root / name)
    return made


def gone(held: Holdings, root: Path, clock: list[float]) -> list[str]:
    """What is gone after all times of grace."""
    held.gone(list_manifests(root))
    clock[0] += GRACE_SECONDS
    return [str(path.relative_to(root)) for path in held.gone(list_manifests(root)).values()]


def test_a_missing_file_is_gone_after_the_time_of_grace(root: Path, clock: list[float]) -> None:
    held = holding(root, "a.yaml", "other.yaml")
    assert held.due == float("inf")
    assert held.gone(list_manifests(root)) == {}
    assert held.due == clock[0] + GRACE_SECONDS
    clock[0] += GRACE_SECONDS - 0.1
    assert held.gone(list_manifests(root)) == {}
    clock[0] += 0.2
    assert held.gone(list_manifests(root)) == {"a": root / "a.yaml"}
    assert held.due == float("inf")
    held.drop("a")
    assert held.gone(list_manifests(root)) == {}


def test_a_file_that_comes_back_begins_anew(root: Path, clock: list[float]) -> None:
    held = holding(root, "a.yaml")
    held.gone(list_manifests(root))
    put(root, "a.yaml")
    clock[0] += 2
    held.gone(list_manifests(root))
    (root / "a.yaml").unlink()
    clock[0] += 2
    assert held.gone(list_manifests(root)) == {}


@pytest.mark.parametrize("stays", ["a.yaml.skip", "sub/a.yaml.skip"])
def test_a_skip_file_holds_the_objects(root: Path, clock: list[float], stays: str) -> None:
    held = holding(root, "a.yaml")
    put(root, stays)
    assert gone(held, root, clock) == []


@pytest.mark.parametrize("other", ["a.yaml.bak", "a.yaml~", ".a.yaml", "a.txt", "sub/a.yaml", "a.json"])
def test_no_other_file_stands_for_it(root: Path, clock: list[float], other: str) -> None:
    held = holding(root, "a.yaml")
    put(root, other)
    assert gone(held, root, clock) == ["a.yaml"]


def test_a_directory_goes_with_its_files(root: Path, clock: list[float]) -> None:
    held = holding(root, "sub/deep/a.yaml")
    assert gone(held, root, clock) == ["sub/deep/a.yaml"]


def test_nothing_is_gone_behind_a_link_that_leads_nowhere(root: Path, clock: list[float]) -> None:
    held = holding(root, "linked/a.yaml", "file.yaml")
    (root / "linked").symlink_to("/nowhere")
    (root / "file.yaml").symlink_to("/nowhere/file")
    assert gone(held, root, clock) == []


def test_packaged_files_are_never_gone(root: Path, clock: list[float]) -> None:
    held = Holdings(root, ["rke2-coredns.yaml"])
    held.identify()
    held.add("rke2-coredns", root / "rke2-coredns.yaml")
    held.add("rke2-coredns-1", root / "mine/rke2-coredns.yaml")
    assert gone(held, root, clock) == ["mine/rke2-coredns.yaml"]


def test_a_directory_keeps_its_identity(root: Path) -> None:
    first, again = Holdings(root), Holdings(root)
    assert first.identify()
    assert not first.identify()
    assert again.identify()
    assert first.identity == again.identity == (root / IDENTITY_FILE).read_text().strip()


def test_addons_of_this_directory_are_recalled(root: Path, clock: list[float]) -> None:
    held = holding(root)
    this = held.identity
    held.recall(
        [
            addon("mine", root / "mine.yaml", this),
            addon("shared", root / "shared.yaml", f"0123,{this}"),
            addon("theirs", root / "theirs.yaml", "0123"),
            addon("elsewhere", root.parent / "elsewhere.yaml", this),
            {"metadata": {"name": "upstream"}, "spec": {"source": str(root / "upstream.yaml")}},
            {"metadata": {"name": "empty"}},
        ]
    )
    assert gone(held, root, clock) == ["mine.yaml", "shared.yaml"]


def test_from_a_new_directory_nothing_is_missing(root: Path, clock: list[float]) -> None:
    """A disk that is not mounted, a server that was reinstalled, a directory made again by hand."""
    held = holding(root, "a.yaml")
    before = addon("a", root / "a.yaml", held.identity)
    shutil.rmtree(root)
    put(root, "other.yaml")
    assert held.identify()
    held.recall([before])
    assert gone(held, root, clock) == []


def test_without_an_identity_nothing_is_held(
    tmp_path: Path, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, f"{IDENTITY_FILE}/x")
    held = holding(tmp_path, "a.yaml")
    assert f"files removed from {tmp_path} stay in the cluster" in caplog.text
    held.recall([addon("b", tmp_path / "b.yaml", "")])
    assert gone(held, tmp_path, clock) == []


def test_the_annotation_counts_directories(root: Path) -> None:
    held = holding(root)
    this = held.identity
    assert held.with_this({}) == this
    assert directories_of(addon("a", root, held.with_this(addon("a", root, "0,zz")))) == {"0", "zz", this}
    assert held.without_this(addon("a", root, this)) == ""
    assert held.without_this(addon("a", root, f"0,{this},zz")) == "0,zz"
