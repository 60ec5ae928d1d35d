"""What containerd is given of an archive, image by image or in one piece."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from rke2.content.images import import_stream
from rke2.content.images.tables import list_images
from rke2.errors import ContentError
from rke2.host.architecture import oci_architecture

from .archive_maker import image_members, layer, write_archive

FIRST, SECOND = "docker.io/rke2py/first:v1", "docker.io/rke2py/second:v1"
SHARED = layer({"lib/shared": b"s" * 5000})


def two_images(tmp_path: Path, architecture: str | None = None) -> Path:
    """Table of contents first, then the first image's blobs, then the second's, each manifest first."""
    parts = [
        image_members(
            name,
            [SHARED, layer({"bin/a": name.encode() * 99})],
            architecture or oci_architecture(),
            layout="oci",
        )
        for name in (FIRST, SECOND)
    ]
    indexes = [json.loads(part.pop("index.json")) for part in parts]
    merged = {"manifests": [entry for index in indexes for entry in index["manifests"]]}
    members = {"index.json": json.dumps(merged).encode()}
    for part in parts:
        for name, blob in sorted(part.items(), key=lambda item: b'"layers"' not in item[1]):
            members.setdefault(name, blob)
    return write_archive(tmp_path / "two.tar", members)


def imported(archive: Path, *references: str) -> list[dict[str, bytes]]:
    """The members of each stream that containerd would get."""
    streams = []
    for part in import_stream.by_image(archive, references, archive.parent):
        part.write(sink := io.BytesIO())
        part.end(sink)
        streams.append(members(sink))
    return streams


def members(sink: io.BytesIO) -> dict[str, bytes]:
    sink.seek(0)
    with tarfile.open(fileobj=sink) as tar:
        return {name: file.read() for name in tar.getnames() if (file := tar.extractfile(name))}


def test_each_image_is_an_archive_of_its_own_and_shared_layers_come_once(tmp_path: Path) -> None:
    first, second = imported(two_images(tmp_path), FIRST, SECOND)
    assert [len(first), len(second)] == [
        6,
        4,
    ]  # layout, index, manifest, config, layers; configuration and a layer are the same
    assert SHARED in first.values()
    assert SHARED not in second.values()
    for stream, name in ((first, FIRST), (second, SECOND)):
        (entry,) = json.loads(stream["index.json"])["manifests"]
        assert entry["annotations"]["io.containerd.image.name"] == name


def test_what_is_not_wanted_is_left_out(tmp_path: Path) -> None:
    (only,) = imported(two_images(tmp_path), SECOND)
    assert json.loads(only["index.json"])["manifests"][0]["annotations"]["io.containerd.image.name"] == SECOND


def test_nothing_is_read_after_the_last_wanted_blob(tmp_path: Path) -> None:
    archive = two_images(tmp_path)
    archive.write_bytes(archive.read_bytes()[:-13_000])
    assert len(imported(archive, FIRST)) == 1
    with pytest.raises(ContentError, match=r"truncated or corrupt|lacks"):
        imported(archive, SECOND)


@pytest.mark.parametrize("layout", ["docker", "oci"])
def test_other_layouts_go_in_one_piece(tmp_path: Path, layout: str) -> None:
    archive = write_archive(
        tmp_path / "x.tar.lz4", image_members(FIRST, [SHARED], oci_architecture(), layout=layout)
    )
    with pytest.raises(import_stream.InterleavedError):
        imported(archive, FIRST)
    read: list[bytes] = []
    sink = io.BytesIO()
    (part,) = import_stream.whole(archive, [FIRST], tmp_path, read.append)
    part.write(sink)
    before = sink.getvalue()
    part.end(sink)
    assert sink.getvalue().startswith(before)
    assert sink.getvalue()[len(before) :].endswith(bytes(1024)), "the end is kept back"
    assert SHARED in members(sink).values()
    assert SHARED in b"".join(read)


def test_an_image_that_comes_before_its_turn_is_noticed(tmp_path: Path) -> None:
    archive = two_images(tmp_path)
    with tarfile.open(archive) as tar:
        content = {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]
    table = content.pop("index.json")
    write_archive(archive, {"index.json": table, **dict(reversed(content.items()))})
    with pytest.raises(import_stream.InterleavedError):
        imported(archive, FIRST, SECOND)


@pytest.mark.parametrize("way", ["by_image", "whole"])
@pytest.mark.parametrize("damage", ["truncated", "foreign", "lacking", "large"])
def test_a_stream_of_a_bad_archive_never_ends(
    tmp_path: Path, way: str, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = two_images(tmp_path, "riscv64" if damage == "foreign" else None)
    if damage == "truncated":
        archive.write_bytes(archive.read_bytes()[:-20_000])
    if damage == "lacking":
        with tarfile.open(archive) as tar:
            kept = {name: tar.extractfile(name).read() for name in tar.getnames()[:-1]}  # type: ignore[union-attr]
        write_archive(archive, kept)
    if damage == "large":
        monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    expected = {
        "truncated": "truncated",
        "foreign": "is for linux/riscv64",
        "lacking": "lacks",
        "large": "free",
    }
    parts = getattr(import_stream, way)(archive, [FIRST, SECOND], tmp_path)
    with pytest.raises(ContentError, match=expected[damage]) as caught:
        for part in parts:
            part.write(io.BytesIO())
    assert str(archive) in caught.value.message
    assert caught.value.remedy


def test_a_list_of_names_for_one_manifest_is_one_image(tmp_path: Path) -> None:
    archive = two_images(tmp_path)
    with tarfile.open(archive) as tar:
        content = {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]
    index = json.loads(content["index.json"])
    again = {**index["manifests"][0], "annotations": {"io.containerd.image.name": "reg.example/first:v1"}}
    index["manifests"].append(again)
    write_archive(archive, {**content, "index.json": json.dumps(index).encode()})
    assert [image.references for image in list_images(archive)][-1] == ("reg.example/first:v1",)
    first = next(import_stream.by_image(archive, [FIRST], tmp_path))
    assert first.references == (FIRST, "reg.example/first:v1")
