"""Root file systems of hosts: archives that the builder makes, unpacked once for all labs of a state directory.

::

    <state>/.roots/<hash of the archive>/      what the hosts of every lab have as their files, copy-on-write

A host without one has the machine's own root (`MACHINE`): everything that is installed here is in it, too.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rke2.errors import LabError
from rke2.host.files import ensure_dir

MACHINE = "machine"
DEFAULT = "debian"
VARIABLE = "RKE2_LAB_ROOT"
DIRECTORY = ".roots"


def chosen(root: str, content: Path | None = None) -> str:
    """`MACHINE` or the path of an archive.

    Args:
        root: `MACHINE`, a path, the name of an archive in ``<content>/hosts``, or empty: what the variable says, else
            `DEFAULT` if `content` has it.

    Raises:
        LabError: there is no such archive.
    """
    wanted = root or os.environ.get(VARIABLE, "")
    kept = content / "hosts" if content else None
    if not wanted:
        default = kept / f"{DEFAULT}.tar" if kept else None
        return str(default) if default and default.is_file() else MACHINE
    if wanted == MACHINE or Path(wanted).is_file():
        return wanted
    named = kept / f"{wanted}.tar" if kept else None
    if named and named.is_file():
        return str(named)
    known = ", ".join([MACHINE, *sorted(path.stem for path in kept.glob("*.tar"))] if kept else [MACHINE])
    raise LabError(f"there is no root file system {wanted!r}", f"one of: {known}; or the path of an archive")


def unpacked(root: str, state_dir: Path) -> Path | None:
    """The directory that a host has as its root, None for the machine's.

    Args:
        root: of `chosen`.

    Raises:
        LabError: the archive cannot be unpacked.
    """
    if root == MACHINE:
        return None
    archive = Path(root)
    place = ensure_dir(state_dir / DIRECTORY) / _hash(archive)
    with _locked(place.parent):
        if not place.is_dir():
            _unpack(archive, place)
    return place


def remove_unused(state_dir: Path) -> None:
    """Remove what was unpacked if no lab is left; the caller has removed its own."""
    others = [path for path in state_dir.iterdir() if path.name != DIRECTORY]
    if not others:
        shutil.rmtree(state_dir / DIRECTORY, ignore_errors=True)


def _hash(archive: Path) -> str:
    try:
        with archive.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise LabError(f"cannot read {archive}: {error.strerror}") from error


def _unpack(archive: Path, place: Path) -> None:
    scratch = place.with_name(f".{place.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        with tarfile.open(archive) as tar:
            # Links of a root file system are absolute; they are followed when it is a root.
            tar.extraction_filter = lambda member, path: member
            tar.extractall(scratch, numeric_owner=True)
        scratch.chmod(0o755)
        scratch.rename(place)
    except (OSError, tarfile.TarError) as error:
        shutil.rmtree(scratch, ignore_errors=True)
        raise LabError(f"cannot unpack {archive}: {error}", "build it again: `make content`") from error


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    with (directory / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
