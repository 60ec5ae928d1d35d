from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.content.images import archives
from rke2.content.images.archives import SUFFIXES, MemberError, is_archive
from rke2.content.images.names import normalize
from rke2.content.images.tables import blob_path, images_of, list_images
from rke2.errors import ContentError
from rke2.host.architecture import oci_architecture

from .archive_maker import image_members, layer, tarball, write_archive

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
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1", "docker.io/library/busybox:1"),
        ("rancher/pause:3", "docker.io/rancher/pause:3"),
        ("index.docker.io/rancher/pause:3", "docker.io/rancher/pause:3"),
        ("localhost/x:1", "localhost/x:1"),
        ("registry-1.docker.io/rancher/pause:3", "registry-1.docker.io/rancher/pause:3"),
        ("registry:5000/a/b", "registry:5000/a/b:latest"),
        (f"registry:5000/a/b@sha256:{64 * '0'}", f"registry:5000/a/b@sha256:{64 * '0'}"),
        (f"a/b:v1@sha256:{64 * '0'}", f"docker.io/a/b@sha256:{64 * '0'}"),
        ("Registry.Example/a:1", "Registry.Example/a:1"),
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
    if layout == "docker":
        members = dict(reversed(members.items()))  # the table of contents last, so that all has to be read
    archive = write_archive(tmp_path / f"x{suffix}", members)
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(ContentError, match=str(archive)):
        list_images(archive)


def test_a_tar_without_table_of_contents_is_refused(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "x.tar", {"readme": b"no image"})
    with pytest.raises(ContentError, match="not an image archive"):
        list_images(archive)


@pytest.mark.parametrize("suffix", [*SUFFIXES])
def test_something_else_named_like_an_archive_is_named(tmp_path: Path, suffix: str) -> None:
    (archive := tmp_path / f"x{suffix}").write_bytes(b"<html>404</html>" * 99)
    with pytest.raises(ContentError, match=f"{archive} is truncated or corrupt"):
        list_images(archive)


def test_several_frames_are_one_archive(tmp_path: Path) -> None:
    import zstandard

    plain = tarball(image_members(REFERENCE, [layer({"bin/a": b"a" * 9999})], layout="oci"))
    frames = [zstandard.compress(plain[at : at + 3000]) for at in range(0, len(plain), 3000)]
    (archive := tmp_path / "x.tar.zst").write_bytes(b"".join(frames))
    assert [image.references for image in list_images(archive)] == [(REFERENCE,)]


def test_of_an_image_for_several_platforms_that_for_this_host_is_listed(tmp_path: Path) -> None:
    mine = image_members(REFERENCE, [layer({"bin/a": b"mine"})], oci_architecture(), "oci")
    other = image_members(REFERENCE, [layer({"bin/a": b"other"})], "riscv64", "oci")
    entries = [
        {
            **json.loads(members.pop("index.json"))["manifests"][0],
            "platform": {"os": "linux", "architecture": name},
        }
        for members, name in ((other, "riscv64"), (mine, oci_architecture()))
    ]
    document = json.dumps({"manifests": entries}).encode()
    digest = f"sha256:{hashlib.sha256(document).hexdigest()}"
    index = {"manifests": [{"digest": digest, "annotations": {"io.containerd.image.name": REFERENCE}}]}
    blobs = {**other, **mine, blob_path({"digest": digest}): document}
    archive = write_archive(tmp_path / "x.tar", {**blobs, "index.json": json.dumps(index).encode()})
    (image,) = list_images(archive)
    assert image.digest == digest
    assert image.config in mine
    assert image.layers[0] in mine


def test_both_tables_of_contents_give_digests_and_nothing_after_them_is_read(tmp_path: Path) -> None:
    members = image_members(REFERENCE, [layer({"bin/a": b"a" * 99})], layout="oci")
    index = members.pop("index.json")
    docker = image_members(REFERENCE, [layer({"bin/a": b"a" * 99})])["manifest.json"]
    archive = write_archive(tmp_path / "x.tar", {"manifest.json": docker, "index.json": index, **members})
    archive.write_bytes(archive.read_bytes()[:2100])
    (image,) = list_images(archive)
    assert image.digest == json.loads(index)["manifests"][0]["digest"]


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (special("../../etc/passwd", tarfile.REGTYPE), "outside of where it is unpacked"),
        (special("/etc/passwd", tarfile.REGTYPE), "outside of where it is unpacked"),
        (special("a/../../b", tarfile.DIRTYPE), "outside of where it is unpacked"),
        (special("blobs", tarfile.SYMTYPE, "/etc"), "is a link to '/etc' outside"),
        (special("a/b", tarfile.SYMTYPE, "../../etc"), "is a link to"),
        (special("a/b", tarfile.LNKTYPE, "../etc"), "is a link to"),
        (special("sda", tarfile.BLKTYPE), "is a device or a pipe"),
        (special("null", tarfile.CHRTYPE), "is a device or a pipe"),
        (special("pipe", tarfile.FIFOTYPE), "is a device or a pipe"),
    ],
)
def test_members_that_no_image_archive_has_are_refused(
    tmp_path: Path, member: tarfile.TarInfo, reason: str
) -> None:
    with tarfile.open(archive := tmp_path / "x.tar", "w") as tar:
        tar.addfile(member)
    with pytest.raises(ContentError, match=re.escape(reason)) as caught:
        list_images(archive)
    assert str(archive) in caught.value.message
    assert caught.value.remedy


def test_links_inside_of_the_archive_are_fine(tmp_path: Path) -> None:
    members = image_members(REFERENCE, [layer({"bin/a": b"a"})])
    with tarfile.open(archive := tmp_path / "x.tar", "w") as tar:
        tar.addfile(special("b/layer.tar", tarfile.SYMTYPE, "../a/layer.tar"))
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    assert [image.references for image in list_images(archive)] == [(REFERENCE,)]


@pytest.mark.parametrize("suffix", [".tar.zst", ".tar.gz", ".tar.bz2", ".tar.lz4"])
def test_a_bomb_is_refused(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_BOMB_SIZE", 8 << 20)
    monkeypatch.setattr(archives, "_BOMB_RATIO", 100)
    archive = write_archive(tmp_path / f"x{suffix}", {"blobs/sha256/zeros": bytes(64 << 20)})
    with pytest.raises(ContentError, match=f"{archive}: it unpacks to more than 100 times its size"):
        list_images(archive)


def test_too_large_a_table_of_contents_is_not_taken_into_memory(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "x.tar", {"index.json": b"{" + bytes(archives.SMALL)})
    with pytest.raises(ContentError, match=r"neither manifest\.json nor index\.json"):
        list_images(archive)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["manifests", "digest", "Config", "Layers", "RepoTags", "layers", "annotations", "config"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(name=st.sampled_from(["index.json", "manifest.json"]), document=JSON, blob=JSON)
def test_a_table_of_contents_of_any_shape_is_read_or_refused(
    name: str, document: object, blob: object
) -> None:
    with contextlib.suppress(MemberError):
        images_of({name: json.dumps(document).encode(), "blobs/": json.dumps(blob).encode()})


@given(st.binary(max_size=3000), st.sampled_from([*SUFFIXES]))
def test_any_bytes_are_read_or_refused(content: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        (archive := Path(directory) / f"x{suffix}").write_bytes(content)
        with pytest.raises(ContentError, match=str(archive)):
            list_images(archive)


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="cannot be read: No such file"):
        list_images(tmp_path / "x.tar")
