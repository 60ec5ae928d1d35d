"""A release in a directory: what of it a node needs, and what of it is no good."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path, PurePosixPath

import pytest

from rke2.errors import ContentError, UsageError
from rke2.installation.release_files import (
    SUMS,
    TARBALL,
    copy_verified,
    shelf,
    unpack,
    version_of,
    wanted,
)

FILES = {"bin/rke2": (b"program", 0o755), "share/rke2/version": (b"v1.37.2+rke2py1\n", 0o644)}
ARCHIVES = [f"rke2-images-{name}.linux-amd64.tar.zst" for name in ("calico", "canal", "core", "runtime")]


def _tarball(path: Path, files: dict[str, tuple[bytes, int]]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, (content, mode) in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            tar.addfile(member, io.BytesIO(content))


@pytest.fixture
def release(tmp_path: Path) -> Path:
    made = tmp_path / "release"
    made.mkdir()
    _tarball(made / TARBALL, FILES)
    for name in ARCHIVES:
        (made / name).write_text(name)
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in made.iterdir()]
    (made / SUMS).write_text("".join(sums))
    return made


def test_its_version(release: Path) -> None:
    assert version_of(release) == "v1.37.2+rke2py1"


def test_a_directory_without_a_release(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="is not a release"):
        version_of(tmp_path)


def test_what_a_node_needs_follows_from_what_it_has(release: Path, tmp_path: Path) -> None:
    assert wanted(release, tmp_path / "none") == [TARBALL, *ARCHIVES[2:]]
    (tmp_path / ARCHIVES[1]).touch()
    assert wanted(release, tmp_path) == [TARBALL, *ARCHIVES[1:]]


def test_a_release_that_lacks_a_file_is_not_whole(release: Path, tmp_path: Path) -> None:
    (release / ARCHIVES[2]).unlink()
    with pytest.raises(ContentError, match=f"no {ARCHIVES[2]}"):
        wanted(release, tmp_path)


def test_a_damaged_file_is_not_left_behind(release: Path, tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="is damaged"):
        copy_verified(release / ARCHIVES[2], tmp_path / "copy", "0" * 64)
    assert not (tmp_path / "copy").exists()


def test_what_is_unpacked(release: Path, tmp_path: Path) -> None:
    assert unpack(release / TARBALL, tmp_path / "next") == [PurePosixPath(name) for name in FILES]
    for name, (content, mode) in FILES.items():
        file = tmp_path / "next" / name
        assert (file.read_bytes(), file.stat().st_mode & 0o777) == (content, mode)


@pytest.mark.parametrize("name", ["../elsewhere", "bin/../../elsewhere", "/elsewhere"])
def test_no_file_leads_out_of_it(tmp_path: Path, name: str) -> None:
    _tarball(tmp_path / TARBALL, {name: (b"", 0o644)})
    with pytest.raises(ContentError, match="leads elsewhere"):
        unpack(tmp_path / TARBALL, tmp_path / "next")


@pytest.mark.parametrize("version", ["", "..", "v1.37.2/../..", "/srv/release", "v1.37"])
def test_a_version_is_no_path(tmp_path: Path, version: str) -> None:
    """A request of the cluster names one; who may change a Node must not choose a program."""
    with pytest.raises(UsageError, match="is not a release"):
        shelf(tmp_path, version)
