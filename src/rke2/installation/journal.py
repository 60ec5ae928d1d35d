"""The journal of an upgrade of this node: ``<data-dir>/upgrade/state.json``, written before each step is begun.

::

    staging ─> staged ─> keeping ─> switching ─> proving ─> done
       └────────┴──────────┴─> failed   └─> rolling-back <┘
                                                 └─> rolled-back

Up to ``keeping`` nothing that a node starts from has been touched.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Literal

import msgspec

from rke2.host.documents import read_document, write_document

Step = Literal[
    "staging",
    "staged",
    "keeping",
    "switching",
    "proving",
    "done",
    "failed",
    "rolling-back",
    "rolled-back",
]
ENDED: tuple[Step, ...] = ("done", "failed", "rolled-back")
UNPROVEN: tuple[Step, ...] = ("switching", "proving", "rolling-back")
"""The files of the node may be, or are, those of a release that has not proven itself."""

UNTOUCHED: tuple[Step, ...] = ("staging", "keeping")
"""Somebody is at work, and nothing that a node starts from has been touched."""

PROOF_SECONDS = 600.0


class FilePlace(msgspec.Struct, frozen=True):
    """A file of the new release, and where it goes.

    Args:
        former: name of what was there before, in ``upgrade/former``; empty if nothing was.
        linked: an image archive: on the file system of the data directory, and too large to be copied.
    """

    source: str
    target: str
    former: str = ""
    linked: bool = False


class Journal(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far an upgrade has come.

    Args:
        version: the release that is to run; `former`: the one that ran before.
        reason: why it failed or was rolled back.
        since: Unix time at which `step` began.
        plan: the Plan that asked for it, as ``namespace/name``; empty if somebody did on the node.
        timeout: seconds that the new release has to prove itself, from each of its starts.
        started: while ``proving``: the new release was started, and has not ended as it was told to.
        snapshot: of etcd, taken for this upgrade.
        storage: version of etcd's data before; `no_way_back`: why the former release cannot run on them any more.
        told: an event has told how it ended.
    """

    version: str
    former: str
    step: Step
    reason: str = ""
    since: float = 0.0
    plan: str = ""
    timeout: float = PROOF_SECONDS
    started: bool = False
    snapshot: str = ""
    storage: str = ""
    no_way_back: str = ""
    told: bool = False
    places: tuple[FilePlace, ...] = ()

    @property
    def ended(self) -> bool:
        return self.step in ENDED


def directory(data_dir: Path) -> Path:
    """Where everything about upgrades of this node is."""
    return data_dir / "upgrade"


def read(data_dir: Path) -> Journal | None:
    """The journal; None if this node was never upgraded."""
    return read_document(directory(data_dir) / "state.json", Journal)


def write(data_dir: Path, journal: Journal) -> Journal:
    """Write `journal` so that it survives a power cut.

    Raises:
        OSError: it cannot be written.
    """
    write_document(directory(data_dir) / "state.json", journal)
    sync(directory(data_dir))
    return journal


def advance(data_dir: Path, journal: Journal, step: Step, **changes: Any) -> Journal:
    """Begin `step`; raises as `write`."""
    return write(data_dir, msgspec.structs.replace(journal, step=step, since=time.time(), **changes))


def note(data_dir: Path, journal: Journal, **changes: Any) -> Journal:
    """Change what is known within a step; raises as `write`."""
    return write(data_dir, msgspec.structs.replace(journal, **changes))


def sync(path: Path) -> None:
    """Have what was renamed in the directory `path` survive a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
