"""The files by which a server knows what it is to etcd (supervisor reference §7.1, §7.7).

::

    server/db/etcd/             the data directory
        member/wal              there is data: the member has been started
        name                    its name
        tombstone               it was removed from the cluster elsewhere: join again at the next start
    server/db/etcd-members.json the cluster as last seen; whom to ask when our own member does not come up (ours)
    server/db/etcd-image.json   which etcd has last run the data (ours; `rke2.etcd.ran`)
    server/db/etcd-backup-<t>   data of a member that was removed; the newest five are kept
    server/db/etcd-old-<t>      data of a server that no longer runs etcd

The writer of the tombstone could not be confirmed for RKE2's static pod; here `rke2.etcd.removal` finds out.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from rke2.config.paths import Paths
from rke2.errors import JoinError
from rke2.etcd.members import db_info, parse_db_info
from rke2.etcd.messages import Member
from rke2.etcd.ran import record_file
from rke2.host.files import ensure_dir, write_atomic
from rke2.staticpods import etcd as etcd_pod
from rke2.staticpods import writer

log = logging.getLogger(__name__)

BACKUPS = 5
"""How many backups are kept."""


def initialised(paths: Paths) -> bool:
    """Whether the member has data."""
    return (paths.etcd / "member" / "wal").is_dir()


def name_file(paths: Paths) -> Path:
    return paths.etcd / "name"


def remove_name(paths: Paths) -> None:
    """Forget the member's name; the next start makes another."""
    name_file(paths).unlink(missing_ok=True)


# --- the cluster as last seen ----------------------------------------------------------------------


def members_file(paths: Paths) -> Path:
    return paths.etcd.with_name("etcd-members.json")


def remember_members(paths: Paths, members: Iterable[Member]) -> None:
    """Keep the member list for a start at which our own member does not come up."""
    write_atomic(members_file(paths), db_info(members))


def remembered_members(paths: Paths) -> tuple[Member, ...]:
    """The members as last seen; empty if none were, or the file is unusable."""
    try:
        return parse_db_info(members_file(paths).read_bytes())
    except FileNotFoundError:
        return ()
    except (OSError, JoinError) as error:
        # The list only says whom to ask on a bad day: a damaged one
        # must not keep a healthy member from starting.
        log.warning("etcd: %s is ignored: %s", members_file(paths), error)
        return ()


# --- putting data aside ----------------------------------------------------------------------------


def tombstone_file(paths: Paths) -> Path:
    return paths.etcd / "tombstone"


def write_tombstone(paths: Paths) -> None:
    """Mark the data as that of a removed member."""
    ensure_dir(paths.etcd, 0o700)
    # Durable, because nothing else tells the next start, perhaps after a power cut, whose data this is.
    write_atomic(tombstone_file(paths), "", durable=True)


def set_aside_removed(paths: Paths, *, joins: bool) -> Path | None:
    """At the start, before anything reads the name: move a removed member's data into a backup.

    Args:
        joins: this server has another one to join. Without, moving the data would begin a second cluster beside the
            one that goes on without us; the reference leaves this open, and we refuse.

    Returns:
        The backup; None without a tombstone.

    Raises:
        JoinError: removed, and nowhere to join.
        OSError: the directory cannot be moved.
    """
    if not tombstone_file(paths).exists():
        return None
    if not joins:
        raise JoinError(
            "this server was removed from its etcd cluster",
            f"set server: to another server of the cluster; or, to go on alone with the old data, delete"
            f" {tombstone_file(paths)} and start once with --cluster-reset",
        )
    backup = _set_aside(paths, "etcd-backup")
    # After the move: a start that is killed here leaves a backup too many, not one too few.
    ours = (path for path in backup.parent.glob("etcd-backup-*") if _unix_time(path))
    for old in sorted(ours, key=_unix_time)[:-BACKUPS]:
        shutil.rmtree(old)
    return backup


def set_aside_former(paths: Paths) -> Path | None:
    """Move the data of a former member away, also one whose cluster was restored elsewhere; None if there is none."""
    return _set_aside(paths, "etcd-old") if initialised(paths) else None


def _set_aside(paths: Paths, prefix: str) -> Path:
    # Without its manifest: the annotation in it would start the next member with the old one's options.
    writer.remove(paths, etcd_pod.NAME)
    target = paths.etcd.with_name(f"{prefix}-{int(time.time())}")
    # One rename for data, name and tombstone: a start that is
    # killed finds all of them where it looks, or none.
    paths.etcd.rename(target)
    # After the move: as long as the data is in place this is the only list of whom to ask about it.
    members_file(paths).unlink(missing_ok=True)
    # It is about the data: what joins next is not to be held back by the etcd that ran these.
    record_file(paths).unlink(missing_ok=True)
    log.warning("etcd: moved the data of the former member to %s", target)
    return target


def _unix_time(path: Path) -> int:
    """0 if somebody else gave the name."""
    suffix = path.name.rpartition("-")[2]
    return int(suffix) if suffix.isdecimal() else 0
