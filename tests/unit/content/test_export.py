from __future__ import annotations

from pathlib import Path

import pytest

from rke2.cli import images_export
from rke2.content.images import import_stream
from rke2.content.images.tables import list_images
from rke2.content.images.verification import verify_archive
from rke2.errors import ContentError
from tests.integration.images.test_import import members
from tests.unit.content.archive_maker import layer, write_archive

SHARED = layer({"lib/shared": b"s" * 5000})


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    (directory := tmp_path / "images").mkdir()
    for number, layout in ((1, "oci first"), (2, "oci last"), (3, "oci first")):
        content = members(
            f"reg.example/{number}:v1", SHARED, layer({"n": str(number).encode()}), layout=layout
        )
        write_archive(directory / f"{number}.tar.gz", content)
    return directory


@pytest.mark.parametrize("suffix", [".tar", ".tar.zst", ".tar.gz"])
def test_some_images_of_several_archives(sources: Path, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"x{suffix}"
    assert (
        images_export.run(["-o", str(target), "--from", str(sources), "reg.example/3:v1", "reg.example/2:v1"])
        == 0
    )
    report = verify_archive(target, sums={}, boms={}, programs=False)
    assert set(report.images) == {"reg.example/2:v1", "reg.example/3:v1"}
    assert report.problems == ()


def test_without_names_all_of_them_and_ready_to_be_imported_one_by_one(sources: Path, tmp_path: Path) -> None:
    target = tmp_path / "all.tar"
    images_export.run(
        ["-o", str(target), "--from", str(sources / "1.tar.gz"), "--from", str(sources / "3.tar.gz")]
    )
    names = [name for image in list_images(target) for name in image.references]
    assert names == ["reg.example/1:v1", "reg.example/3:v1"]
    assert [part.references[0] for part in _written(target, names, tmp_path)] == names


def _written(target: Path, names: list[str], room: Path) -> list[import_stream.ImportPart]:
    parts = []
    for part in import_stream.by_image(target, names, room):
        with (room / "sink").open("wb") as sink:
            part.write(sink)
        parts.append(part)
    return parts


def test_what_is_missing_is_named_and_nothing_is_left(sources: Path, tmp_path: Path) -> None:
    with pytest.raises(ContentError, match=r"no archive has docker\.io/library/away:1"):
        images_export.run(["-o", str(tmp_path / "x.tar"), "--from", str(sources), "away:1"])
    with pytest.raises(ContentError, match="is no name for an archive"):
        images_export.run(["-o", str(tmp_path / "x.zip"), "--from", str(sources)])
    write_archive(sources / "docker.tar", members("reg.example/4:v1", SHARED, layout="docker"))
    with pytest.raises(ContentError, match=r"docker\.tar: it has only docker's table of contents"):
        images_export.run(["-o", str(tmp_path / "x.tar"), "--from", str(sources)])
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_without_containerd_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="no containerd of rke2 runs"):
        images_export.run(["-o", str(tmp_path / "x.tar"), "-d", str(tmp_path)])
