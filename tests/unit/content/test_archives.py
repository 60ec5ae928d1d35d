from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.content.archives import SUFFIXES, is_archive, list_images, normalize
from rke2.errors import ContentError

from .archive_maker import image_members, layer, write_archive

REFERENCE = "docker.io/rke2py/thing:v1"


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("layout", ["docker", "oci"])
def test_every_format_lists_its_images(tmp_path: Path, suffix: str, layout: str) -> None:
    members = image_members(REFERENCE, [layer({"bin/a": b"a"})], layout=layout)
    archive = write_archive(tmp_path / f"x{suffix}", members)
    assert is_archive(archive)
    (image,) = list_images(archive)
    assert image.references == (REFERENCE,)
    assert {image.config, *image.layers} <= set(members)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("busybox", "docker.io/library/busybox"),
        ("rancher/pause:3", "docker.io/rancher/pause:3"),
        ("index.docker.io/rancher/pause:3", "docker.io/rancher/pause:3"),
        ("localhost/x:1", "localhost/x:1"),
        ("registry:5000/a/b@sha256:00", "registry:5000/a/b@sha256:00"),
    ],
)
def test_references_are_normalized_as_containerd_does(written: str, stored: str) -> None:
    assert normalize(written) == stored


@given(st.from_regex(r"[a-z]{1,5}(\.[a-z]{2,3})?(/[a-z]{1,4}){0,3}(:[a-z0-9]{1,4})?", fullmatch=True))
def test_normalizing_twice_changes_nothing(reference: str) -> None:
    assert normalize(normalize(reference)) == normalize(reference)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.zst", ".tar.lz4", ".tar.bz2"])
@pytest.mark.parametrize("layout", ["docker", "oci"])
def test_truncated_archive_is_named(tmp_path: Path, suffix: str, layout: str) -> None:
    members = image_members(REFERENCE, [layer({"bin/a": bytes(range(256)) * 400})], layout=layout)
    members = dict(reversed(members.items()))  # the table of contents last, so that all has to be read
    archive = write_archive(tmp_path / f"x{suffix}", members)
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(ContentError, match=str(archive)):
        list_images(archive)


def test_a_tar_without_table_of_contents_is_refused(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "x.tar", {"readme": b"no image"})
    with pytest.raises(ContentError, match="not an image archive"):
        list_images(archive)
