"""The files of a cluster reset: what is moved, and how the next start knows where it stands.

::

    server/db/etcd-restore/     scratch: restored data, keys to be written; gone at the end, or with the next try
    server/db/reset-unfinished  from the first change to the last; a normal start refuses meanwhile (ours)
    server/db/etcd-old-<t>      the data of before
    server/tls-<t>              the keys of before
    server/db/reset-flag        from the end of the reset to the end of the next normal start

RKE2 writes the flag before the restore has succeeded, so that a failed one blocks the next; here it comes last.
"""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path

from rke2.config.paths import Paths
from rke2.errors import HostError
from rke2.etcd import member_files
from rke2.host.files import ensure_dir, write_atomic

log = logging.getLogger(__name__)


def refuse_second(paths: Paths) -> None:
    """Refuse another reset without a restore: it would be one that the operator forgot to take out of config.yaml.

    Raises:
        HostError: the server was reset, and not started since.
    """
    if paths.reset_flag.exists():
        raise HostError(
            "Managed etcd cluster membership was previously reset, please remove the cluster-reset flag and start rke2"
            " normally. If you need to perform another cluster reset, you must first manually delete the file at"
            f" {paths.reset_flag}"
        )


def refuse_unfinished(paths: Paths) -> None:
    """Refuse a normal start in the middle of a reset: there may be no data, and the start would make a new cluster.

    Raises:
        HostError: a reset was begun and has not ended.
    """
    try:
        what = paths.reset_unfinished.read_text().strip()
    except FileNotFoundError:
        return
    raise HostError(
        f"a cluster reset was begun and not finished: {what}",
        "run that command again; it begins again, and the data of before stays beside in"
        f" {paths.etcd.parent}/etcd-old-*",
    )


def fresh_scratch(paths: Paths) -> Path:
    """An empty directory to work in, beside the data: what is moved must not be copied."""
    remove_scratch(paths)
    ensure_dir(paths.server, 0o700)
    ensure_dir(paths.etcd.parent, 0o700)
    return ensure_dir(paths.reset_scratch, 0o700)


def remove_scratch(paths: Paths) -> None:
    shutil.rmtree(paths.reset_scratch, ignore_errors=True)


def begin(paths: Paths, command: str) -> None:
    """From now on things are changed."""
    write_atomic(paths.reset_unfinished, f"{command}\n", durable=True)


def exchange(paths: Paths, restored: Path) -> None:
    """Put the restored data in the place of the old, which stays beside.

    Killed between the two moves, there is no data in its place: `begin` has been called before.

    Raises:
        OSError: a directory cannot be moved.
    """
    if member_files.initialised(paths):
        target = paths.etcd.with_name(f"etcd-old-{int(time.time())}")
        paths.etcd.rename(target)
        log.info("Pre-restore etcd database moved to %s", target)
    else:
        shutil.rmtree(paths.etcd, ignore_errors=True)
    member_files.members_file(paths).unlink(missing_ok=True)
    restored.rename(paths.etcd)


def finish(paths: Paths) -> None:
    """The reset is done: the next start may be a normal one."""
    write_atomic(paths.reset_flag, "", durable=True)
    paths.reset_unfinished.unlink(missing_ok=True)
    remove_scratch(paths)
