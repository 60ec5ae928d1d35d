"""Whether the shared files on disk or those of the cluster count (supervisor reference §6.5).

`decide` looks, `reconcile` acts: everything is compared before anything is written.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rke2.errors import JoinError, PKIError
from rke2.join.bootstrap import FILES, BootstrapData, BootstrapEntry
from rke2.join.passwd import Passwd

log = logging.getLogger(__name__)

TOLERANCE_NS = 3 * 10**9
"""A file that is newer by less than this was changed together with the cluster's copy."""
_DIRECTORIES = ("cred", "tls", "tls/etcd")


@dataclass(frozen=True)
class Decision:
    """What follows from a comparison: why all files are written (empty: nothing is), or why the server must not start.

    `newer` are the files that somebody changed after the cluster's copy was made.
    """

    reasons: tuple[str, ...] = ()
    newer: tuple[str, ...] = ()


def decide(cluster: BootstrapData, disk: Mapping[str, BootstrapEntry], *, bare: bool = False) -> Decision:
    """Compare the cluster's files with those on disk.

    Args:
        disk: key of `FILES` -> file; keys that are missing have no file.
        bare: one of the directories is missing or empty: nothing on disk counts.
    """
    if bare:
        return Decision(reasons=("this server has no keys yet",))
    reasons, newer = [], []
    for key, entry in cluster.entries.items():
        path, own = FILES[key].path, disk.get(key)
        if own is None:
            reasons.append(f"{path} is missing")
        elif not _same(key, own.content, entry.content):
            is_newer = own.modified_ns - entry.modified_ns >= TOLERANCE_NS
            newer.append(path) if is_newer else reasons.append(f"{path} differs")
    return Decision(tuple(reasons), tuple(newer))


def _same(key: str, own: bytes, cluster: bytes) -> bool:
    """Whether a file is what the cluster has.

    Servers share the server password; that of agents is each server's own setting (``agent-token``), which may have
    been introduced, changed or removed since the cluster's copy was made.
    """
    if own == cluster or key != "PasswdFile":
        return own == cluster
    path = Path(FILES[key].path)
    try:
        return Passwd.parse(own, path).server == Passwd.parse(cluster, path).server
    except PKIError:
        return False


def reconcile(cluster: BootstrapData, server: Path) -> list[Path]:
    """Bring the files below `server` (``<dd>/server``) to what the cluster has.

    Returns:
        The files that were changed.

    Raises:
        JoinError: files on disk are newer than the cluster's; nothing was written.
        PKIError, OSError: a file cannot be read or written.
    """
    bare = any(_is_bare(server / name) for name in _DIRECTORIES)
    disk = {} if bare else BootstrapData.read(server, complain=False).entries
    decision = decide(cluster, disk, bare=bare)
    # Before anything is written: the operator has to be able to go back, or to remove the files and go on.
    if decision.newer:
        paths = ", ".join(str(server / path) for path in decision.newer)
        raise JoinError(
            f"{paths} newer than datastore and could cause a cluster outage. "
            "Remove the file(s) from disk and restart to be recreated from datastore.",
            final=True,
        )
    if not decision.reasons:
        return []
    log.info("Writing the cluster's keys to %s: %s", server, "; ".join(decision.reasons))
    # All of them, as in RKE2 (supervisor reference §6.5): what was written at one time belongs together.
    return cluster.write(server)


def overwrite(cluster: BootstrapData, server: Path) -> Path | None:
    """Replace what is on disk, as after a cluster-reset.

    Returns:
        The copy of ``tls`` that was made first, None if there was nothing to copy.
    """
    tls, backup = server / "tls", server / f"tls-{int(time.time())}"
    if tls.is_dir():
        # dirs_exist_ok: a reset that was killed may be run again within the second that names the copy.
        shutil.copytree(tls, backup, symlinks=True, dirs_exist_ok=True)
    cluster.write(server)
    return backup if backup.is_dir() else None


def _is_bare(directory: Path) -> bool:
    return not directory.is_dir() or not any(directory.iterdir())
