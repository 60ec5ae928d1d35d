"""What is done about a file of the manifests directory, decided without a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rke2.addons.decide import FileAction, Work, gone, is_shared, listed, missing, wanted
from rke2.addons.holdings import DIRECTORIES
from rke2.addons.manifests import Listing, ManifestFile
from rke2.addons.names import PATH

ROOT = Path("/m")
HERE = "this-directory"


def listing(*names: str) -> Listing:
    files = tuple(ManifestFile(ROOT / name, Path(name), mtime_ns=1) for name in names)
    return Listing(files, (ROOT,))


def addon(*directories: str, uid: str = "1", **more: Any) -> dict[str, Any]:
    annotations = {DIRECTORIES: ",".join(directories), **more.pop("annotations", {})}
    meta = {"name": "a", "annotations": annotations, **({"uid": uid} if uid else {})}
    return {"metadata": meta, "spec": more}


# --- which files -----------------------------------------------------------------------------------
def test_deletions_come_first() -> None:
    steps = listed(listing("a.yaml", "b.yaml", "z.yaml"), {"z"}, ())
    assert [(step.work, str(step.file.relative)) for step in steps] == [
        (Work.DELETE, "z.yaml"),
        (Work.APPLY, "a.yaml"),
        (Work.APPLY, "b.yaml"),
    ]


def test_what_is_held_back_or_no_manifest_has_no_step() -> None:
    assert listed(listing("a.yaml", "a.yaml.skip", "notes.txt"), (), ()) == []


def test_a_missing_file_is_told_apart_by_its_addon() -> None:
    steps = missing({"own-1": ROOT / "x/a.yaml", "a": ROOT / "a.yaml"}, ROOT)
    assert [(step.work, step.key) for step in steps] == [
        (Work.WITHDRAW, (ROOT / "x/a.yaml", "own-1")),
        (Work.WITHDRAW, (ROOT / "a.yaml", "a")),
    ]
    assert [step.file.relative for step in steps] == [Path("x/a.yaml"), Path("a.yaml")]


def test_no_file_that_is_there_has_the_time_of_a_missing_one() -> None:
    (step,) = missing({"a": ROOT / "a.yaml"}, ROOT)
    assert step.file.mtime_ns < 0


# --- what about them -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("checksum", "applied", "action"),
    [
        ("same", True, FileAction.KEEP),
        ("same", False, FileAction.APPLY),
        ("other", True, FileAction.APPLY),
        ("other", False, FileAction.APPLY),
    ],
)
def test_a_file_is_applied_once_per_start_and_when_it_changes(
    checksum: str, applied: bool, action: FileAction
) -> None:
    assert wanted(addon(HERE, checksum="same"), checksum, applied=applied) is action


def test_an_addon_without_a_checksum_was_never_applied() -> None:
    assert wanted(addon(HERE), "new", applied=True) is FileAction.APPLY


@pytest.mark.parametrize(
    ("found", "action"),
    [
        (addon(HERE), FileAction.REMOVE),
        (addon(HERE, "another"), FileAction.RELEASE),
        (addon("another"), FileAction.FORGET),
        (addon(), FileAction.FORGET),
        (addon(HERE, uid=""), FileAction.FORGET),
    ],
)
def test_what_becomes_of_a_missing_file(found: dict[str, Any], action: FileAction) -> None:
    assert gone(found, HERE, back=False) is action
    assert gone(found, HERE, back=True) is FileAction.WAIT


def test_a_directory_without_identity_removes_nothing() -> None:
    assert gone(addon(HERE), "", back=False) is FileAction.FORGET
    assert gone(addon(), "", back=False) is FileAction.FORGET


@pytest.mark.parametrize(
    ("found", "shared"),
    [
        (addon(HERE), False),
        (addon(HERE, "another"), True),
        (addon(HERE, "another", annotations={PATH: "a.yaml"}), False),
        (addon("another"), True),
    ],
)
def test_an_addon_of_an_earlier_release_may_be_shared(found: dict[str, Any], shared: bool) -> None:
    assert is_shared(found, HERE) is shared
