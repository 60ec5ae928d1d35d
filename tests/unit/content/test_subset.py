from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from rke2.content.archives import list_images
from rke2.content.subset import write_subset
from rke2.errors import ContentError

from .archive_maker import image_members, layer, write_archive

FIRST, SECOND = "docker.io/rke2py/first:v1", "docker.io/rke2py/second:v1"


def two_images(tmp_path: Path) -> Path:
    """Table of contents first, then the first image's blobs, then the second's, each manifest first."""
    parts = [
        image_members(name, [layer({"bin/a": name.encode() * 99})], layout="oci") for name in (FIRST, SECOND)
    ]
    indexes = [json.loads(part.pop("index.json")) for part in parts]
    merged = {"manifests": [entry for index in indexes for entry in index["manifests"]]}
    members = {"index.json": json.dumps(merged).encode()}
    for part in parts:
        members.update(sorted(part.items(), key=lambda item: b'"layers"' not in item[1]))
    return write_archive(tmp_path / "two.tar", members)


def subset(archive: Path, target: Path, *references: str) -> Path:
    with target.open("wb") as sink:
        write_subset(archive, references, sink)
    return target


def test_only_the_asked_for_image_and_all_of_it(tmp_path: Path) -> None:
    target = subset(two_images(tmp_path), tmp_path / "one.tar", FIRST)
    (image,) = list_images(target)
    assert image.references == (FIRST,)
    with tarfile.open(target) as tar:
        names = tar.getnames()
    assert {image.config, *image.layers} <= set(names)
    assert len(names) == 5  # layout, index, manifest, config, layer


def test_nothing_is_read_after_the_last_blob(tmp_path: Path) -> None:
    archive = two_images(tmp_path)
    archive.write_bytes(archive.read_bytes()[:-11_000])
    (image,) = list_images(subset(archive, tmp_path / "one.tar", FIRST))
    assert image.references == (FIRST,)


def test_a_damaged_layer_is_found(tmp_path: Path) -> None:
    members = image_members(FIRST, [layer({"bin/a": b"A" * 3_000_000})], layout="oci")
    index = members.pop("index.json")
    ordered = {
        "index.json": index,
        **dict(sorted(members.items(), key=lambda item: b'"layers"' not in item[1])),
    }
    archive = write_archive(tmp_path / "x.tar", ordered)
    archive.write_bytes(archive.read_bytes().replace(b"A" * 3_000_000, b"A" * 2_999_999 + b"B"))
    with pytest.raises(ContentError, match="digest"):
        write_subset(archive, [FIRST], io.BytesIO())


def test_an_archive_with_its_table_of_contents_at_the_end_gives_nothing(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "x.tar", image_members(FIRST, [layer({"bin/a": b"a"})], layout="oci"))
    with tarfile.open(subset(archive, tmp_path / "one.tar", FIRST)) as tar:
        assert not [name for name in tar.getnames() if name.startswith("blobs/")]
