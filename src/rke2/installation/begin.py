"""An upgrade of this node, from the first look to the restart into the new release.

What comes then is the new release's own affair: it proves itself, or puts the former one back
(`rke2.installation.start`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rke2.config.paths import Paths
from rke2.content.images.store import ImageStore
from rke2.errors import AlreadyRunningError, HostError, KubeError, RKE2Error, UsageError, explained
from rke2.host.files import ensure_dir
from rke2.host.lock import exclusive, holder
from rke2.installation import datastore, exchange, guards, journal, servers, snapshot, staging
from rke2.installation.journal import PROOF_SECONDS, Journal
from rke2.lifecycle.progress import ProcessStatus, read_status
from rke2.release_version import ReleaseVersion

log = logging.getLogger(__name__)

_PACKAGED = Path("/usr")


@dataclass(frozen=True)
class UpgradeWish:
    """What an upgrade is to be like.

    Args:
        source: directory of the release, which only root may name; None for the node's own shelf.
        plan: the Plan that asks, as ``namespace/name``.
        timeout: seconds that the new release has to prove itself.
        skipped: guards that are not asked.
        stage_only: end when the release is staged.
        snapshotter: of the node's containerd.
    """

    version: str
    source: Path | None = None
    plan: str = ""
    timeout: float = PROOF_SECONDS
    skipped: Collection[str] = ()
    stage_only: bool = False
    snapshotter: str = "overlayfs"


def begin(data_dir: Path, version: str, *, plan: str | None = None, stage_only: bool = False) -> None:
    """Upgrade this node to a release on its shelf, as the cluster asks for it.

    Blocks until the release is staged, or the node is told to end so that it starts as the new release.

    Raises:
        RKE2Error: it is refused, or has failed; the journal has the reason of a failure.
    """
    apply(Paths(data_dir=data_dir), UpgradeWish(version, plan=plan or "", stage_only=stage_only))


def apply(paths: Paths, wish: UpgradeWish, say: Callable[[str], None] = log.info) -> Journal:
    """Upgrade this node; see `begin`.

    Returns:
        The journal: ``proving``, or ``staged``.
    """
    process = running(paths)
    with alone(paths):
        before = journal.read(paths.data_dir)
        if before and before.step == "switching" and before.version == wish.version:
            state = before  # somebody was cut off in the middle: what is kept is whole
        else:
            state = _staged(paths, process, before, wish, say)
            if wish.stage_only:
                return state
            state = _kept(paths, process, state, say)
        say("exchanging the program")
        state = _switched(paths, state)
    restart(process, say)
    return state


@contextmanager
def alone(paths: Paths) -> Iterator[None]:
    """Keep every other upgrade of this node, and a start of it, from changing the same files.

    Raises:
        HostError: somebody else does.
    """
    ensure_dir(journal.directory(paths.data_dir), 0o700)
    try:
        with exclusive(lock_of(paths)):
            yield
    except AlreadyRunningError as error:
        raise HostError(
            f"another `rke2 upgrade` works on this node (pid {holder(lock_of(paths))})", "wait for its end"
        ) from error


def lock_of(paths: Paths) -> Path:
    return journal.directory(paths.data_dir) / "lock"


def running(paths: Paths) -> ProcessStatus:
    """The node that runs here.

    Raises:
        HostError: none does, or its program is not a file that could be exchanged.
    """
    process = read_status(paths.status)
    if process is None or holder(paths.lock) != process.pid:
        raise HostError(f"no rke2 runs on {paths.data_dir}", "start it first: its images are imported by it")
    if not process.program:
        raise HostError(
            "the node that runs here was not installed as one file",
            "install the new release as the former one was",
        )
    if Path(process.program).parent.parent == _PACKAGED:
        raise HostError(
            f"{process.program} belongs to a package",
            "upgrade the package, then restart rke2 (docs/install.md)",
        )
    return process


def _staged(
    paths: Paths,
    process: ProcessStatus,
    before: Journal | None,
    wish: UpgradeWish,
    say: Callable[[str], None],
) -> Journal:
    if before and before.step in journal.UNPROVEN:
        raise HostError(
            f"the upgrade to {before.version} is not at its end: {before.step}",
            "see `rke2 upgrade status`; `rke2 upgrade rollback` ends it",
        )
    guards.refuse(_change(paths, process, wish), wish.skipped)
    prefix = Path(process.program).parent.parent
    exchange.refuse_changed_drop_in(prefix, paths)
    store = ImageStore(paths.bin / "ctr", paths.containerd_socket, wish.snapshotter)
    release, names = staging.find(paths, wish.version, wish.source)
    staging.require_room(paths, release, names, store)
    fresh = Journal(wish.version, process.version, "staging", plan=wish.plan, timeout=wish.timeout)
    state = journal.advance(paths.data_dir, fresh, "staging")
    with _failing(paths, state):
        found = staging.stage(paths, wish.version, release, names, prefix, store, say)
    return journal.advance(paths.data_dir, state, "staged", places=tuple(found))


def _change(paths: Paths, process: ProcessStatus, wish: UpgradeWish) -> guards.ReleaseChange:
    now, then = _release(process.version), _release(wish.version)
    # What is staged runs nothing: an agent has the images before a server raises the charts that need them.
    if process.role == "server" or wish.stage_only or "servers-first" in wish.skipped:
        return guards.ReleaseChange(now, then)
    try:
        return guards.ReleaseChange(now, then, servers.versions(paths))
    except (KubeError, TimeoutError) as error:
        why = error.message if isinstance(error, KubeError) else "no API server answers"
        raise HostError(
            f"the versions of the servers are not known: {why}",
            "see `rke2 status`; --skip-checks servers-first goes on without",
        ) from error


def _release(text: str) -> ReleaseVersion:
    version = ReleaseVersion.parse(text)
    if version is None:
        raise UsageError(f"{text!r} is not the version of a release", "write it as in v1.37.2+rke2py1")
    return version


def _kept(paths: Paths, process: ProcessStatus, state: Journal, say: Callable[[str], None]) -> Journal:
    with _failing(paths, state):
        if process.role == "server" and datastore.has_etcd(paths):
            say("taking a snapshot of etcd")
            storage = asyncio.run(datastore.storage_version(paths))
            state = journal.note(paths.data_dir, state, snapshot=snapshot.take(paths), storage=storage)
        say("keeping the former release")
        state = journal.advance(paths.data_dir, state, "keeping")
        kept = exchange.keep(paths.data_dir, state.places)
        return journal.advance(paths.data_dir, state, "switching", places=kept)


def _switched(paths: Paths, state: Journal) -> Journal:
    try:
        exchange.switch(state.places)
        return journal.advance(paths.data_dir, state, "proving", started=False)
    except OSError as error:
        put_back(paths, state, f"the files could not be exchanged: {explained(error).message}")
        raise explained(error, f"the upgrade to {state.version} was rolled back") from error


def put_back(paths: Paths, state: Journal, reason: str) -> Journal:
    """Have the former release on the disk again.

    Raises:
        OSError: a file cannot be written; the next start tries it again.
    """
    state = journal.advance(paths.data_dir, state, "rolling-back", reason=reason)
    exchange.put_back(paths.data_dir, state.places)
    return journal.advance(paths.data_dir, state, "rolled-back", told=False)


@contextmanager
def _failing(paths: Paths, state: Journal) -> Iterator[None]:
    """Keep the reason of a failure; nothing was touched yet."""
    try:
        yield
    except (RKE2Error, OSError) as error:
        now = journal.read(paths.data_dir) or state
        journal.advance(paths.data_dir, now, "failed", reason=explained(error).message, told=True)
        raise explained(error) from error


def restart(process: ProcessStatus, say: Callable[[str], None] = log.info) -> None:
    """Tell the node to end; who started it starts it again."""
    say(f"restarting rke2 (pid {process.pid})")
    sys.stdout.flush()
    os.kill(process.pid, signal.SIGTERM)
