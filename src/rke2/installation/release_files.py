"""A release in a directory, as ``make release`` writes it and ``install.sh`` reads it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from rke2.content.images.archives import is_archive
from rke2.errors import ContentError, UsageError
from rke2.installation.journal import directory

SUMS = "sha256sum-amd64.txt"
TARBALL = "rke2.linux-amd64.tar.gz"
VERSION_FILE = "share/rke2/version"
_ALWAYS = re.compile(r"rke2-images-(core|runtime)\.")
_VERSION = re.compile(r"v\d+\.\d+\.\d+(-[A-Za-z0-9.]+)?(\+[A-Za-z0-9.]+)?")
_CHUNK = 1 << 20


def shelf(data_dir: Path, version: str) -> Path:
    """The directory of the releases that this node may take without being shown one by root.

    Raises:
        UsageError: `version` is not a version; it may come from a Node object, and must not lead anywhere else.
    """
    if not _VERSION.fullmatch(version):
        raise UsageError(f"{version!r} is not a release such as v1.37.2+rke2py1")
    return directory(data_dir) / "releases" / version


def shelved(data_dir: Path) -> list[str]:
    """The versions that are on it."""
    place = directory(data_dir) / "releases"
    found = place.iterdir() if place.is_dir() else ()
    return sorted(path.name for path in found if _VERSION.fullmatch(path.name))


def version_of(release: Path) -> str:
    """Which release lies in the directory `release`.

    Raises:
        ContentError: none.
    """
    try:
        with tarfile.open(release / TARBALL) as tar:
            member = tar.extractfile(VERSION_FILE)
            return member.read(100).decode().strip() if member else ""
    except (OSError, KeyError, tarfile.TarError, EOFError, ValueError) as error:
        raise ContentError(
            f"{release} is not a release: {TARBALL} there cannot be read: {error}",
            "name a directory as `make release` writes it",
        ) from error


def checksums(release: Path) -> dict[str, str]:
    """File name -> SHA-256, as the release names them.

    Raises:
        ContentError: they cannot be read.
    """
    try:
        lines = (release / SUMS).read_text().splitlines()
    except (OSError, ValueError) as error:
        raise ContentError(f"{release / SUMS} cannot be read: {error}", "copy the whole release") from error
    pairs = (line.split(maxsplit=1) for line in lines if line.strip())
    return {pair[1].lstrip("*"): pair[0] for pair in pairs if len(pair) == 2}


def wanted(release: Path, images: Path) -> list[str]:
    """The files of a release that this node needs: the program, what every node runs, and what it has now.

    Args:
        images: the directory of the node's archives, from which its CNI plugin and ingress controller follow.

    Raises:
        ContentError: the release lacks something.
    """
    named = checksums(release)
    have = {path.name for path in images.iterdir() if is_archive(path)} if images.is_dir() else set()
    names = [TARBALL, *sorted(name for name in named if _is_wanted(name, have))]
    for name in names:
        if name not in named or not (release / name).is_file():
            raise ContentError(
                f"{release} is not a whole release: no {name} that {SUMS} names", "copy it again"
            )
    return names


def _is_wanted(name: str, have: Iterable[str]) -> bool:
    return (
        name.startswith("rke2-images")
        and not name.endswith(".txt")
        and (name in have or _ALWAYS.match(name) is not None)
    )


def verify(file: Path, expected: str) -> None:
    """See that `file` is what the release names.

    Raises:
        ContentError: it is not.
    """
    digest = hashlib.sha256()
    with file.open("rb") as source:
        for chunk in _chunks(source):
            digest.update(chunk)
    _compare(file, digest.hexdigest(), expected)


def copy_verified(file: Path, target: Path, expected: str) -> None:
    """Copy `file` to `target`, durably, if it is what the release names; raises as `verify`, and OSError."""
    digest = hashlib.sha256()
    with file.open("rb") as source, target.open("wb") as copy:
        for chunk in _chunks(source):
            digest.update(chunk)
            copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    try:
        _compare(file, digest.hexdigest(), expected)
    except ContentError:
        target.unlink()
        raise


def _chunks(source: IO[bytes]) -> Iterator[bytes]:
    while chunk := source.read(_CHUNK):
        yield chunk


def _compare(file: Path, found: str, expected: str) -> None:
    if found != expected:
        raise ContentError(
            f"{file} is damaged: its SHA-256 is {found}, and {SUMS} says {expected}", "copy it again"
        )


def unpack(tarball: Path, target: Path) -> list[PurePosixPath]:
    """Unpack the program and what belongs to it; `target` is new.

    Returns:
        The files, relative to `target`.

    Raises:
        ContentError: the tarball cannot be unpacked.
        OSError: there is no room.
    """
    target.mkdir(parents=True)
    found = []
    try:
        with tarfile.open(tarball) as tar:
            for member in tar:
                if file := tar.extractfile(member) if member.isfile() else None:
                    found.append(_place(member.name))
                    _write(file, target / found[-1], 0o755 if member.mode & 0o100 else 0o644)
    except (tarfile.TarError, EOFError) as error:
        raise ContentError(f"{tarball} cannot be unpacked: {error}", "copy the release again") from error
    return found


def _place(name: str) -> PurePosixPath:
    place = PurePosixPath(name.removeprefix("./"))
    if place.is_absolute() or ".." in place.parts:
        raise ContentError(f"a file of the release leads elsewhere: {name}", "take another release")
    return place


def _write(source: IO[bytes], path: Path, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as target:
        shutil.copyfileobj(source, target, _CHUNK)
    path.chmod(mode)
