from __future__ import annotations

import os
from pathlib import Path

import pytest

from rke2.addons.manifests import list_manifests


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")


def wanted(root: Path, *disables: str) -> list[str]:
    return [str(file.relative) for file in list_manifests(root).wanted(disables)]


def disabled(root: Path, *disables: str) -> list[str]:
    return [str(file.relative) for file in list_manifests(root).disabled(disables)]


def test_manifests_are_found_in_the_order_of_their_paths(tmp_path: Path) -> None:
    put(tmp_path, "b.yaml", "a/z.yml", "a.json", "A.YAML", "notes.txt", ".hidden.yaml", "a/b/c.yaml", "yaml")
    assert wanted(tmp_path) == ["A.YAML", "a.json", "a/b/c.yaml", "a/z.yml", "b.yaml"]


def test_a_skip_file_skips_the_file_beside_it(tmp_path: Path) -> None:
    put(tmp_path, "a.yaml", "sub/a.yaml", "b.yaml", "a.yaml.skip", "elsewhere/b.yaml.skip", "b.skip")
    assert wanted(tmp_path) == ["b.yaml", "sub/a.yaml"]


def test_the_name_of_a_packaged_file_disables_that_alone(tmp_path: Path) -> None:
    put(tmp_path, "rke2-canal.yaml", "mine/rke2-canal.yaml", "mine/own.yaml")
    found = list_manifests(tmp_path).disabled(("rke2-canal", "own"), ["rke2-canal.yaml"])
    assert [str(file.relative) for file in found] == ["mine/own.yaml", "rke2-canal.yaml"]


def test_a_file_that_is_reached_twice_is_one(tmp_path: Path) -> None:
    put(tmp_path, "real/a.yaml")
    (tmp_path / "a-link").symlink_to("real")
    (tmp_path / "b.yaml").symlink_to("real/a.yaml")
    assert wanted(tmp_path) == ["real/a.yaml"]


def test_disabled_by_name_or_directory(tmp_path: Path) -> None:
    put(
        tmp_path, "rke2-coredns.yaml", "rke2-coredns-config.yaml", "ccm/a.yaml", "ccm/sub/notes.txt", "x.json"
    )
    disables = ("rke2-coredns", "ccm", "X")
    assert disabled(tmp_path, *disables) == ["ccm/a.yaml", "ccm/sub/notes.txt", "rke2-coredns.yaml"]
    assert wanted(tmp_path, *disables) == ["rke2-coredns-config.yaml", "x.json"]


def test_a_sub_path_can_be_disabled(tmp_path: Path) -> None:
    put(tmp_path, "a/b/x.yaml", "a/y.yaml", "b/z.yaml")
    assert disabled(tmp_path, "a/b") == ["a/b/x.yaml"]


def test_disabling_beats_skipping(tmp_path: Path) -> None:
    put(tmp_path, "a.yaml", "a.yaml.skip")
    assert disabled(tmp_path, "a") == ["a.yaml"]


def test_links_to_directories_are_followed_one_level(tmp_path: Path) -> None:
    put(tmp_path, "far/deep/c.yaml", "near/b.yaml", "root/a.yaml")
    (tmp_path / "root/link").symlink_to(tmp_path / "near")
    (tmp_path / "near/again").symlink_to(tmp_path / "far")
    files = list_manifests(tmp_path / "root").files
    assert [(str(file.relative), file.linked) for file in files] == [("a.yaml", False), ("link/b.yaml", True)]


def test_a_dangling_link_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("nowhere")
    assert wanted(tmp_path) == []


def test_mtimes_are_those_of_the_files(tmp_path: Path) -> None:
    put(tmp_path, "a.yaml")
    os.utime(tmp_path / "a.yaml", ns=(5, 7))
    assert [file.mtime_ns for file in list_manifests(tmp_path).files] == [7]


def test_a_missing_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list_manifests(tmp_path / "nowhere")
