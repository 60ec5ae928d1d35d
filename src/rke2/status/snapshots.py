"""The newest snapshot of etcd on this server, looked up where the process says that they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rke2.lifecycle.progress import SnapshotSchedule
from rke2.snapshots.directory import list_snapshots


@dataclass(frozen=True)
class LastSnapshot:
    """A snapshot: file name, bytes, Unix time."""

    name: str
    size: int
    taken: int


def last_snapshot(schedule: SnapshotSchedule) -> LastSnapshot | None:
    """None if there is none, or the directory cannot be read."""
    try:
        found = list_snapshots(Path(schedule.directory), extra=False)
    except OSError:
        return None
    return LastSnapshot(found[-1].name, found[-1].size, found[-1].taken) if found else None
