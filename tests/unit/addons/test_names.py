"""Every file of the manifests directory has an Addon of its own, and keeps it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rke2.addons.names import PATH, file_of, has_plain_name, own_name, plain_name
from rke2.kube.objects import Object

A, B = Path("team-a/space.yaml"), Path("team-b/space.yaml")


@pytest.mark.parametrize(
    ("name", "addon"), [("rke2-coredns.yaml", "rke2-coredns"), ("a.b.yaml", "a"), ("x.json", "x")]
)
def test_rke2s_names(name: str, addon: str) -> None:
    assert plain_name(Path("/m") / name) == addon


@pytest.mark.parametrize(
    ("file", "rivals", "holder", "elsewhere", "plain"),
    [
        (A, [], None, False, True),
        (A, [B], None, False, True),
        (B, [A], None, False, False),
        (B, [A], B, False, True),  # who has it keeps it
        (A, [B], B, False, False),
        (A, [], B, False, True),  # B was renamed to A
        (A, [], B, True, False),  # another server has B
        (Path("x.json"), [Path("x.yaml")], None, False, True),
        (Path("My_App.yaml"), [], None, False, False),
        (Path("mine/rke2-canal.yaml"), [], None, False, False),
        (Path("mine/rke2-canal.yaml"), [], Path("mine/rke2-canal.yaml"), False, False),
        (Path("rke2-canal.yaml"), [Path("mine/rke2-canal.yaml")], Path("mine/rke2-canal.yaml"), True, True),
    ],
)
def test_who_has_the_name_that_rke2_gives(
    file: Path, rivals: list[Path], holder: Path | None, elsewhere: bool, plain: bool
) -> None:
    assert has_plain_name(file, rivals, ["rke2-canal.yaml"], holder, elsewhere=elsewhere) is plain


def test_other_names_are_names_of_objects_and_differ() -> None:
    files = [A, B, Path("My_App.yaml"), Path("my-app.yaml"), Path("ü.yaml"), Path("x" * 250 + ".yaml")]
    names = [own_name(file) for file in files]
    assert len(set(names)) == len(files)
    assert all(len(name) < 253 and name.replace("-", "").isalnum() and name.isascii() for name in names)
    assert own_name(Path("ü.yaml")).startswith("manifest-")


def addon(source: str, path: str = "") -> Object:
    return {"metadata": {"annotations": {PATH: path} if path else {}}, "spec": {"source": source}}


@pytest.mark.parametrize(
    ("found", "file"),
    [
        (addon("/r/manifests/a/b.yaml"), "a/b.yaml"),
        (addon("/r/manifests/a/b.yaml", "stale.yaml"), "a/b.yaml"),
        (addon("/other/x/a/b.yaml", "a/b.yaml"), "a/b.yaml"),
        (addon("/other/manifests/a/b.yaml"), "a/b.yaml"),
        (addon("/elsewhere/b.yaml"), None),
        ({"metadata": {}}, None),
    ],
)
def test_the_file_of_an_addon(found: Object, file: str | None) -> None:
    assert file_of(found, Path("/r/manifests")) == (file and Path(file))
