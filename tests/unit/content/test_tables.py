"""Which images an archive holds, and what each is called."""

from __future__ import annotations

import json
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from rke2.content.images import import_stream
from rke2.content.images.tables import list_images, nameless
from rke2.content.images.verification import verify_archive
from rke2.errors import ContentError
from rke2.host.architecture import oci_architecture

from .archive_maker import image_members, layer, write_archive

FULL, REF = "io.containerd.image.name", "org.opencontainers.image.ref.name"
HEX = "0123456789abcdef" * 4


def oci(path: Path, *annotations: dict[str, str], docker: list[str] | None = None) -> Path:
    """An OCI archive with an image for each of `annotations`; with `docker` also its table of contents."""
    entries: list[Any] = []
    docker_entries: list[Any] = []
    members: dict[str, bytes] = {}
    for number, words in enumerate(annotations):
        blobs = image_members("x", [layer({"n": b"%d" % number})], oci_architecture(), layout="oci")
        (entry,) = json.loads(blobs.pop("index.json"))["manifests"]
        entries.append({**entry, "annotations": words})
        members |= blobs
        if docker is not None:
            blobs = image_members("x", [layer({"n": b"%d" % number})], oci_architecture())
            (docker_entry,) = json.loads(blobs.pop("manifest.json"))
            docker_entries.append({**docker_entry, "RepoTags": docker})
    tables = {"index.json": json.dumps({"manifests": entries}).encode()}
    if docker is not None:
        tables["manifest.json"] = json.dumps(docker_entries).encode()
    return write_archive(path, {**members, **tables, "oci-layout": b'{"imageLayoutVersion":"1.0.0"}'})


@pytest.mark.parametrize(
    ("annotations", "found_as"),
    [
        ({FULL: "docker.io/library/app:1", REF: "1"}, "docker.io/library/app:1"),
        ({FULL: "app:1", REF: "1"}, "docker.io/library/app:1"),
        ({FULL: "app"}, "docker.io/library/app:latest"),
        ({REF: "app:1"}, "docker.io/library/app:1"),
        ({REF: "team/app"}, "docker.io/team/app:latest"),
        ({REF: "localhost/app:1"}, "localhost/app:1"),
        ({REF: "index.docker.io/library/app:1"}, "docker.io/library/app:1"),
        ({REF: "registry-1.docker.io/library/app:1"}, "registry-1.docker.io/library/app:1"),
        ({REF: "reg.example:5000/team/app"}, "reg.example:5000/team/app:latest"),
        ({REF: f"reg.example/app:1@sha256:{HEX}"}, f"reg.example/app@sha256:{HEX}"),
    ],
)
def test_an_image_is_called_what_a_pod_finds_it_by(
    tmp_path: Path, annotations: dict[str, str], found_as: str
) -> None:
    archive = oci(tmp_path / "x.tar", annotations)
    assert [image.references for image in list_images(archive)] == [(found_as,)]
    assert _names_given(archive, found_as) == [found_as]


def _names_given(archive: Path, *wanted: str) -> list[str]:
    """What the table of contents that containerd is given says."""
    (part,) = import_stream.whole(archive, wanted, archive.parent)
    part.write(sink := BytesIO())
    part.end(sink)
    sink.seek(0)
    with tarfile.open(fileobj=sink) as tar:
        names = tar.getnames()
        if "index.json" not in names:
            return []
        assert "oci-layout" in names
        index = tar.extractfile("index.json")
        assert index is not None
        return [entry["annotations"][FULL] for entry in json.loads(index.read())["manifests"]]


@pytest.mark.parametrize(
    ("annotations", "reason"),
    [
        ({}, "has no name"),
        ({REF: "latest"}, "has no name but the tag 'latest'"),
        ({REF: "v1.2"}, "has no name but the tag 'v1.2'"),
        ({REF: "Team/App:1 "}, "is called 'Team/App:1 ', which is not an image reference"),
    ],
)
def test_an_archive_of_which_no_pod_finds_anything_is_refused(
    tmp_path: Path, annotations: dict[str, str], reason: str
) -> None:
    archive = oci(tmp_path / "x.tar", annotations)
    with pytest.raises(ContentError) as caught:
        list_images(archive)
    assert str(archive) in caught.value.message
    assert "its entry sha256:" in caught.value.message
    assert reason in caught.value.message
    assert "docker save registry.example/team/app:1.0" in caught.value.remedy
    (problem,) = verify_archive(archive, sums={}, boms={}, programs=False).problems
    assert reason in problem


@pytest.mark.parametrize("tags", [None, []])
def test_what_docker_saved_by_its_id_is_refused(tmp_path: Path, tags: list[str] | None) -> None:
    members = image_members("x", [layer({})], oci_architecture())
    (entry,) = json.loads(members["manifest.json"])
    table = json.dumps([{**entry, "RepoTags": tags}]).encode()
    archive = write_archive(tmp_path / "x.tar", {**members, "manifest.json": table})
    with pytest.raises(ContentError, match=r"its image with the configuration blobs/sha256/\S+ has no name"):
        list_images(archive)


def test_of_several_images_those_without_a_name_are_told(tmp_path: Path) -> None:
    archive = oci(tmp_path / "x.tar", {REF: "app:1"}, {REF: "latest"})
    images = list_images(archive)
    assert [image.references for image in images] == [("docker.io/library/app:1",), ()]
    (told,) = nameless(images)
    assert told.endswith("has no name but the tag 'latest'")
    assert _names_given(archive, "docker.io/library/app:1") == ["docker.io/library/app:1"]
    problems = verify_archive(archive, sums={}, boms={}, programs=False).problems
    assert f"{told}: no pod finds it" in problems


def test_of_two_tables_that_of_the_oci_counts_as_for_containerd(tmp_path: Path) -> None:
    archive = oci(tmp_path / "x.tar", {FULL: "docker.io/library/app:2"}, docker=["app:1"])
    assert [image.references for image in list_images(archive)] == [("docker.io/library/app:2",)]
    assert _names_given(archive, "docker.io/library/app:2") == ["docker.io/library/app:2"]


def test_names_that_only_dockers_table_has_are_used(tmp_path: Path) -> None:
    archive = oci(tmp_path / "x.tar", {}, docker=["app:1"])
    assert [image.references for image in list_images(archive)] == [("docker.io/library/app:1",)]
    assert _names_given(archive, "docker.io/library/app:1") == [], "containerd is to read docker's table"
