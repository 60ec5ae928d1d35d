"""A release is read from the directory of its archives and lists; a directory that is none is told so."""

from __future__ import annotations

from pathlib import Path

import pytest

from rke2.errors import ContentError, UsageError
from rke2.upgrade.release import charts, of_directory, tags, target
from tests.unit.content.archive_maker import image_members, layer, write_archive
from tests.unit.content.test_required import VALUES, chart
from tests.unit.upgrade.facts import version

RUNTIME = "docker.io/rke2py/rke2-runtime:v1.37.2-rke2py1"
LISTS = {
    "rke2-images-core.linux-amd64.txt": "docker.io/rke2py/hardened-etcd:v3.7.3\ndocker.io/rke2py/pause:3.10.2\n",
    "rke2-images-runtime.linux-amd64.txt": f"{RUNTIME}\n",
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name, text in LISTS.items():
        (tmp_path / name).write_text(text)
    files = {"charts/rke2-coredns.yaml": chart("rke2-coredns").encode()}
    archive = tmp_path / "rke2-images-runtime.linux-amd64.tar.zst"
    write_archive(archive, image_members(RUNTIME, [layer(files)]))
    return tmp_path


def test_a_directory_tells_version_images_charts_and_size(directory: Path) -> None:
    found = target(str(directory))
    assert found.version == version("v1.37.2+rke2py1")
    assert found.etcd == version("v3.7.3")
    assert found.images["pause"] == "3.10.2"
    assert found.charts is not None
    assert found.charts["rke2-coredns"].values == VALUES
    assert found.archives == (directory / "rke2-images-runtime.linux-amd64.tar.zst").stat().st_size
    assert found.place == str(directory)


def test_a_directory_without_lists_is_no_release(tmp_path: Path) -> None:
    with pytest.raises(ContentError) as caught:
        of_directory(tmp_path)
    assert "is not a release" in caught.value.message
    assert str(tmp_path) in caught.value.message


def test_a_directory_without_the_runtime_archive_says_which_file_is_missing(directory: Path) -> None:
    (directory / "rke2-images-runtime.linux-amd64.tar.zst").unlink()
    with pytest.raises(ContentError) as caught:
        of_directory(directory)
    assert RUNTIME in caught.value.message
    assert "rke2-images-runtime" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "expected"),
    [("v1.37.2", "v1.37.2"), ("v1.38.0+rke2r1", "v1.38.0+rke2r1"), ("v1.37", "v1.37.2+rke2py1")],
)
def test_a_version_is_a_release_of_which_nothing_else_is_known(text: str, expected: str) -> None:
    found = target(text)
    assert (found.version, found.charts, found.etcd) == (version(expected), None, None)


@pytest.mark.parametrize("text", ["1.37.2", "latest", "v2.0.0", "/nonexistent", ""])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="neither a directory nor a version"):
        target(text)


def test_images_are_known_by_their_repository() -> None:
    assert tags(["docker.io/a/b:v1", "reg:5000/x/y/c:2@sha256:00", "d@sha256:00", "e"]) == {
        "b": "v1",
        "c": "2",
    }


def test_manifests_without_a_chart_in_them_are_passed_over() -> None:
    assert charts(["kind: HelmChart\nmetadata: {name: x}\nspec: {chart: y}\n", ""]) == {}
