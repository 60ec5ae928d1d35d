"""What to do about a file of the manifests directory and about its Addon. Pure.

::

    listed, disabled ─────────────────────────────────────────────────► DELETE    what it applied, then the file
    listed, wanted ───┬─ this process has applied it, and the Addon ──► KEEP
                      │  has the checksum of what is in it
                      └─ anything else ───────────────────────────────► APPLY
    missing for good ─┬─ there again ─────────────────────────────────► WAIT      the next listing has it
                      ├─ its Addon is gone, or not of this directory ─► FORGET
                      ├─ other directories hold it, too ──────────────► RELEASE   the Addon no longer names this one
                      └─ anything else ───────────────────────────────► REMOVE    what it applied, and its Addon

When each of them is due, and what follows from a failure, is decided in `rke2.addons.attempts`; which files are missing
for good in `rke2.addons.holdings`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from rke2.addons.attempts import Key
from rke2.addons.holdings import directories_of
from rke2.addons.manifests import Listing, ManifestFile
from rke2.addons.names import PATH
from rke2.kube.objects import Object, annotations_of, metadata


class Work(Enum):
    """Why a file is looked at."""

    DELETE = auto()
    APPLY = auto()
    WITHDRAW = auto()


class FileAction(Enum):
    """What is done about it."""

    KEEP = auto()
    APPLY = auto()
    WAIT = auto()
    FORGET = auto()
    RELEASE = auto()
    REMOVE = auto()


@dataclass(frozen=True)
class FileStep:
    """One file of one look at the directory.

    Args:
        addon: name of its Addon, where the file is gone; else empty.
    """

    work: Work
    file: ManifestFile
    addon: str = ""

    @property
    def key(self) -> Key:
        return (self.file.path, self.addon)


_NO_MTIME = -1
"""Of a file that is not there: unlike that of any other."""


def listed(listing: Listing, disables: Collection[str], packaged: Collection[str]) -> list[FileStep]:
    """The steps for the files that are there. Deletions come first: a file that is wanted may want what they delete."""
    return [
        *(FileStep(Work.DELETE, file) for file in listing.disabled(disables, packaged)),
        *(FileStep(Work.APPLY, file) for file in listing.wanted(disables, packaged)),
    ]


def missing(gone: Mapping[str, Path], root: Path) -> list[FileStep]:
    """The steps for the files that are missing for good.

    Args:
        gone: name of an Addon -> its file.
        root: the manifests directory.
    """
    return [
        FileStep(Work.WITHDRAW, ManifestFile(path, path.relative_to(root), mtime_ns=_NO_MTIME), name)
        for name, path in gone.items()
    ]


def wanted(addon: Object, checksum: str, *, applied: bool) -> FileAction:
    """What to do about a file that is wanted.

    Args:
        checksum: of what is in the file.
        applied: whether this process has applied it, in this or another version.
    """
    return FileAction.KEEP if applied and addon["spec"].get("checksum") == checksum else FileAction.APPLY


def gone(addon: Object, identity: str, *, back: bool) -> FileAction:
    """What to do about a file that is missing for good.

    Args:
        identity: of this directory.
        back: whether there is something in its place since the directory was listed.
    """
    if back:
        return FileAction.WAIT
    if identity not in directories_of(addon) or "uid" not in metadata(addon):
        return FileAction.FORGET
    return FileAction.RELEASE if directories_of(addon) - {identity} else FileAction.REMOVE


def is_shared(addon: Object, identity: str) -> bool:
    """Whether other servers may have a file of another path that shared the Addon under an earlier release."""
    return bool(directories_of(addon) - {identity}) and PATH not in annotations_of(addon)
