"""``rke2 etcd-snapshot restore`` and ``rke2 etcd recover``: a whole cluster back, from one of its servers.

This program plans, asks, and then only watches: the server's own process does the work, so that it goes on whatever
becomes of who has asked for it.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rke2.config.model import S3Settings
from rke2.config.paths import Paths
from rke2.errors import EtcdError, HostError, UsageError
from rke2.host.lock import holder
from rke2.lifecycle.progress import read_status
from rke2.recovery import peers, plan, state
from rke2.recovery.state import Restore
from rke2.snapshots import fetching, restoring
from rke2.snapshots.store import StoredSnapshot

log = logging.getLogger(__name__)

UNIT = "rke2-server"
LOOK = 0.5
_UNDER_SYSTEMD = Path("/run/systemd/system")


def run(
    paths: Paths,
    url: str,
    name: str,
    *,
    directory: Path | None = None,
    store: S3Settings | None = None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Restore the cluster that this server is of.

    Args:
        url: of this server's own supervisor.
        name: of the snapshot, its path or its location in S3; empty to go on with the data of this server.
        directory: where a name is looked for, and a snapshot from S3 is put; None for the default.
        store: where a name is looked for that is not there; None for nowhere else.

    Raises:
        S3Error: the snapshot cannot be looked up or fetched.
        EtcdError, JoinError, HostError: it cannot be done; says whether something was changed.
        UsageError: nobody can be asked, and ``--yes`` was not given.
    """
    place = directory or paths.snapshots
    stored = _in_store(name, place, store)
    snapshot = place / stored.name if stored else restoring.find(Path(name), place) if name else None
    made = asyncio.run(plan.make(paths, url, snapshot, stored))
    print(plan.as_text(made, time.time()), end="", flush=True)
    if dry_run:
        return
    _agree(yes=yes)
    if stored and snapshot:
        asyncio.run(fetching.fetch(stored.store, snapshot, make=place == paths.snapshots))
    _begin(paths, url, made.restore)
    _end(_follow(paths, made.restore.id))


def _in_store(name: str, place: Path, store: S3Settings | None) -> StoredSnapshot | None:
    """The snapshot in S3 that is meant; None if it is one of this server's disk, or none."""
    if name.startswith(f"{fetching.SCHEME}:"):
        return asyncio.run(fetching.look_up(*fetching.named_in_url(store or S3Settings(), name)))
    path = Path(name)
    if not name or store is None or path.parent != Path() or path.exists() or (place / path).exists():
        return None
    return asyncio.run(fetching.look_up(store, name))


def _agree(*, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "nobody can be asked whether to go on", "add --yes, or --dry-run to see the plan only"
        )
    if input("Go on? Write yes: ").strip() != "yes":
        raise UsageError("not agreed; nothing was changed")


def _begin(paths: Paths, url: str, restore: Restore) -> None:
    if holder(paths.lock):
        asyncio.run(peers.begin(paths, url, restore))
        return
    try:
        state.write_restore(paths, restore)
    except OSError as error:
        raise HostError.of(error, "the restore cannot be begun") from error
    if _UNDER_SYSTEMD.is_dir() and shutil.which("systemctl"):
        subprocess.run(["systemctl", "start", "--no-block", UNIT], check=False)
    else:
        log.info("rke2 does not run on this server: start it, it does the rest")


# --- watching ---------------------------------------------------------------------------------------------
def _follow(paths: Paths, restore_id: str) -> Restore:
    """Say what is done until it is done.

    Raises:
        HostError: the state of the restore is gone.
    """
    said: set[str] = set()
    while True:
        now = state.read_restore(paths)
        if now is None or now.id != restore_id:
            raise HostError(
                f"the restore was given up: {state.restore_file(paths)} is gone", "the log of rke2 says why"
            )
        for line in _lines(paths, now):
            if line not in said:
                log.info("%s", line)
                said.add(line)
        if now.over:
            return now
        time.sleep(LOOK)


def _lines(paths: Paths, restore: Restore) -> Iterator[str]:
    for server in restore.servers:
        if server.state:
            yield f"{server.name}: {_STATES[server.state]}"
    if restore.saved:
        yield f"the present state is in snapshot {restore.saved}"
    status = read_status(paths.status)
    if status is None:
        return
    for phase in status.phases:
        if phase.state == "running" and (phase.detail or phase.waits_for):
            yield f"{phase.name}: {phase.detail or phase.waits_for}"
    yield from (f"{about}: {words}" for about, words in status.troubles.items() if "restore" in about)


_STATES = {
    "stopped": "its control plane has stopped",
    "away": "does not answer, and its etcd does not run; it joins again when it comes back",
}


def _end(restore: Restore) -> None:
    if restore.step == "failed":
        raise EtcdError(f"nothing was restored, everything is as it was: {restore.failure}", restore.remedy)
    away = [each.name for each in restore.servers if each.state == "away"]
    waits = f"; still away: {', '.join(away)}" if away else ""
    log.info("The cluster is restored, after %.0f s%s.", restore.ended - restore.began, waits)
