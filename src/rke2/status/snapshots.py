"""The newest snapshot of etcd on this server, and the newest proof, looked up where the process says they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rke2.lifecycle.progress import SnapshotSchedule
from rke2.snapshots.directory import list_snapshots


@dataclass(frozen=True)
class LastSnapshot:
    """A snapshot: file name, bytes, Unix time.

    Args:
        proven: Unix time of the last drill of any snapshot here that succeeded; 0 if none did.
        unproven: names and reasons of those whose last drill failed.
    """

    name: str
    size: int
    taken: int
    proven: int = 0
    unproven: tuple[str, ...] = ()


def last_snapshot(schedule: SnapshotSchedule) -> LastSnapshot | None:
    """None if there is none, or the directory cannot be read."""
    try:
        found = list_snapshots(Path(schedule.directory))
    except OSError:
        return None
    if not found:
        return None
    verdicts = [each.verdict for each in found if each.verdict]
    proven = max((each.at for each in verdicts if not each.failure), default=0)
    unproven = tuple(f"{each.name} does not restore: {each.failure}" for each in verdicts if each.failure)
    return LastSnapshot(found[-1].name, found[-1].size, found[-1].taken, proven, unproven)
