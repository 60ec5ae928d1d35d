"""The snapshots in a directory of this server: found, removed, and kept down to a number.

A name from a request is compared with those of the files that are there, and never made into a path. Links are not
followed: what is outside of the directory is neither listed nor removed.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rke2.errors import HostError
from rke2.host.files import ensure_dir
from rke2.snapshots import names, record
from rke2.snapshots.record import DrillVerdict

log = logging.getLogger(__name__)

_MODE = 0o700


@dataclass(frozen=True)
class SnapshotFile:
    """A snapshot on disk; `taken` is Unix time, `extra` the operator's own metadata, `verdict` the last drill's."""

    path: Path
    size: int
    taken: int
    extra: Mapping[str, str] = field(default_factory=dict)
    verdict: DrillVerdict | None = None

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def location(self) -> str:
        return f"file://{self.path}"

    @property
    def compressed(self) -> bool:
        return bool(names.suffix_of(self.name))


def prepare(directory: Path, *, make: bool) -> None:
    """See that snapshots can be put into `directory`.

    Args:
        make: make it if it is missing (the default one only: a mount point that is missing is not made).

    Raises:
        HostError: it is missing, or is no directory.
    """
    try:
        if make:
            ensure_dir(directory, _MODE)
        if not stat.S_ISDIR(directory.stat().st_mode):
            raise HostError(f"etcd-snapshot-dir {directory} is not a directory", "name a directory")
    except OSError as error:
        raise HostError(
            f"failed to get etcd-snapshot-dir: stat {directory}: {error.strerror}",
            "make the directory, or mount it; only the default one is made by rke2",
        ) from error


def list_snapshots(directory: Path, *, extra: bool = True) -> list[SnapshotFile]:
    """All snapshots below `directory`, by time and then name; none if it is missing.

    Args:
        extra: read their metadata and verdicts, too.

    Raises:
        OSError: a directory cannot be read.
    """
    found = [
        SnapshotFile(path, status.st_size, _taken(path, status), *(_beside(path) if extra else ()))
        for path, status in _files(directory)
    ]
    return sorted(found, key=lambda each: (each.taken, each.name))


def _beside(path: Path) -> tuple[Mapping[str, str], DrillVerdict | None]:
    return record.read_extra(path), record.read_verdict(path)


def _files(directory: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for folder, _, files in os.walk(directory, onerror=_raise):
        for file in files:
            path = Path(folder) / file
            try:
                status = path.lstat()
            except FileNotFoundError:  # removed meanwhile
                continue
            if stat.S_ISREG(status.st_mode) and not file.endswith(names.PART):
                yield path, status


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _taken(path: Path, status: os.stat_result) -> int:
    return names.time_in(path.name) or int(status.st_mtime)


def surplus(
    snapshots: Iterable[SnapshotFile],
    base: str,
    node: str,
    retention: int,
    directory: Path,
    fresh: str = "",
) -> list[SnapshotFile]:
    """What has to go for `retention` snapshots of this base name and node to be left, the oldest first.

    Only files that lie in `directory` itself: what an operator has put into a directory below it is theirs.

    Args:
        retention: below 1 everything is kept.
        fresh: the one that was just taken, which is the newest whatever the clock says: it may have been set back.
    """
    if retention < 1:
        return []
    own = [
        each
        for each in snapshots
        if each.path.parent == directory and names.parse(each.name, base, node) is not None
    ]
    return sorted(own, key=lambda each: (each.name == fresh, each.taken, each.name))[:-retention]


def remove(snapshot: SnapshotFile) -> None:
    """Remove a snapshot, then what is beside it.

    Raises:
        OSError: a file cannot be removed.
    """
    snapshot.path.unlink(missing_ok=True)
    record.remove(snapshot.path)


def named(snapshots: Sequence[SnapshotFile], wanted: Collection[str]) -> list[SnapshotFile]:
    """Those that are called so."""
    return [each for each in snapshots if each.name in wanted]


def remove_parts(directory: Path) -> None:
    """Remove what an earlier process did not complete; nothing may be writing into `directory`."""
    for path in directory.glob(f"*{names.PART}"):
        if names.time_in(path.name.removesuffix(names.PART)) is not None:
            log.info("Removing %s, which was never completed", path)
            path.unlink(missing_ok=True)
