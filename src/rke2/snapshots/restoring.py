"""From a snapshot to a database, beside the one that is there: found, checked, unpacked, restored by etcd's own tool.

The revision is raised by far and everything before is compacted: what controllers and caches have seen since the
snapshot must not come again with another content. The cluster's token is a new one, and so are the ids of cluster and
member: with equal name, URL and token they would be the old ones, and a peer that still has the old data would pass
for a member.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from rke2.errors import EtcdError, HostError, JoinError
from rke2.etcd.membership import Self
from rke2.etcd.minor import EtcdMinor
from rke2.host import children
from rke2.host.files import ensure_dir
from rke2.snapshots import compression, receiving, record
from rke2.snapshots.bounds import Bounds
from rke2.snapshots.names import suffix_of
from rke2.snapshots.record import Record

log = logging.getLogger(__name__)

BUMP = 1_000_000_000
"""Revisions between the snapshot's last one and the next: more than a cluster makes between two snapshots."""
LOG = 128 << 20
"""Bytes of the log that etcd's tool allocates in advance: this file of it and the next."""
PROGRAMS = 64 << 20
"""Bytes of etcd and its tool, which a restore takes out of their image first."""
_VERSION = re.compile(r"\d+\.\d+\.\d+\S*")
_STORAGE = re.compile(r'"version":"([^"]*)"')
_NO_SPACE = "no space left on device"
_FREE = "free space on that file system; nothing was changed"
_WRONG_TOKEN = "bootstrap data already found and encrypted with different token"


@dataclass(frozen=True)
class Restorable:
    """A snapshot that may be restored: its file, uncompressed, and what is known of it."""

    source: Path
    raw: Path
    record: Record | None
    sha256: str = ""


def find(path: Path, directory: Path) -> Path:
    """The file of a snapshot.

    Args:
        directory: where a name without directory is looked for, too.

    Raises:
        EtcdError: there is none.
    """
    found = path if path.exists() or path.parent != Path() else directory / path
    if not found.exists():
        raise EtcdError(f"etcd: snapshot path does not exist: {path}", "see `rke2 etcd-snapshot ls`")
    if not found.is_file():
        raise EtcdError(f"etcd: snapshot path must be a file, not a directory: {path}", "name a snapshot")
    return found.absolute()


def check(source: Path, password_hash: str, scratch: Path) -> Restorable:
    """See that the snapshot is whole and of this token, before anything is changed.

    Args:
        password_hash: of the token, as in `record.token_hash`.
        scratch: a directory; a compressed snapshot is unpacked into it.

    Raises:
        EtcdError: it is damaged.
        JoinError: it is of another token.
        HostError: there is no room for it.
    """
    known = record.read_record(source)
    require_token(source, known, password_hash)
    require_room(source, scratch)
    raw = source
    try:
        if suffix_of(source.name):
            log.info("Decompressing etcd snapshot file: %s", source)
            raw = scratch / "snapshot"
            compression.decompress(source, raw)
        received = receiving.check_file(raw)
    except OSError as error:
        raise HostError.of(error, f"cannot read {source}") from error
    require_same(source, known, received.sha256)
    log.info("Snapshot %s is whole: %d bytes, sha256 %s", source.name, received.size, received.sha256)
    return Restorable(source, raw, known, received.sha256)


def require_token(source: Path, known: Record | None, password_hash: str) -> None:
    """Refuse a snapshot that its record says to be of another token; without a record it shows when etcd runs on it.

    Raises:
        JoinError: it is.
    """
    if known and known.token_hash and known.token_hash != password_hash:
        raise JoinError(
            f"{_WRONG_TOKEN}: {source.name} is of a cluster whose token has the fingerprint {known.token_hash},"
            f" this one's is {password_hash}",
            "pass that cluster's token with --token",
            final=True,
        )


def require_same(source: Path, known: Record | None, sha256: str) -> None:
    """The file's own sum says that it is whole, not that it is the snapshot which was taken under this name.

    Raises:
        EtcdError: it is not.
    """
    if known and known.sha256 and known.sha256 != sha256:
        raise EtcdError(
            f"{source}: its record is of a snapshot with sha256 {known.sha256}, the file has {sha256}",
            f"another snapshot lies under this name; if it is the one you want, delete {record.record_file(source)}",
            code="DATA_LOSS",
        )


def require_room(source: Path, scratch: Path, also: int = 0) -> None:
    """Refuse a restore for which `scratch` has no room: a compressed snapshot is there twice, and the old data stays.

    Args:
        also: bytes that are needed beside.

    Raises:
        HostError: there is not enough.
    """
    known = record.read_record(source)
    size = known.size if known and known.size else source.stat().st_size
    needed = size * (2 if suffix_of(source.name) else 1) + LOG + also
    if (free := shutil.disk_usage(scratch).free) < needed:
        raise HostError(
            f"restoring {source.name} needs {needed >> 20} MiB in {scratch.parent}, where {free >> 20} MiB are free",
            _FREE,
        )


async def restore(
    snapshot: Restorable,
    own: Self,
    etcdutl: Path,
    target: Path,
    *,
    ahead: int = BUMP,
    bounds: Bounds | None = None,
) -> None:
    """Make the data directory `target` of the snapshot, for a cluster of `own` alone.

    Args:
        ahead: how far the revision is raised; 0 leaves it, and what was not compacted can still be read.
        bounds: of the tool.

    Raises:
        EtcdError: it is of a later etcd, or etcd's tool refuses; in its words.
        HostError: the disk is full, which says nothing of the snapshot.
    """
    await _require_version(snapshot, etcdutl, bounds)
    ensure_dir(target, 0o700)
    # The sum was compared by us, and is again by the tool.
    _, words = await _run(
        etcdutl,
        "snapshot",
        "restore",
        str(snapshot.raw),
        f"--name={own.name}",
        f"--initial-cluster={own.name}={own.peer_url}",
        f"--initial-advertise-peer-urls={own.peer_url}",
        f"--initial-cluster-token=rke2-{secrets.token_hex(8)}",
        f"--data-dir={target}",
        *((f"--bump-revision={ahead}", "--mark-compacted") if ahead else ()),
        bounds=bounds,
    )
    if _NO_SPACE in words:
        raise HostError(f"{snapshot.source} cannot be restored: {_NO_SPACE} in {target.parent}", _FREE)
    if words:
        raise EtcdError(f"{snapshot.source} cannot be restored: {words}", "use another snapshot")


async def _require_version(snapshot: Restorable, etcdutl: Path, bounds: Bounds | None) -> None:
    """Refuse what this etcd cannot open: its tool restores it all the same, and etcd does not start on the result.

    Raises:
        EtcdError: the snapshot is of a later minor version.
    """
    theirs = snapshot.record.storage_version if snapshot.record else ""
    if not theirs:
        told, _ = await _run(etcdutl, "snapshot", "status", "-w=json", str(snapshot.raw), bounds=bounds)
        theirs = found[1] if (found := _STORAGE.search(told)) else ""
    told, _ = await _run(etcdutl, "version", bounds=bounds)
    ours = found[0] if (found := _VERSION.search(told)) else ""
    later, own = EtcdMinor.parse(theirs), EtcdMinor.parse(ours)
    # Data of etcd before 3.6 have no storage version.
    if later and own and later > own:
        by = f" {snapshot.record.version}" if snapshot.record else ""
        raise EtcdError(
            f"{snapshot.source} cannot be restored: it is of etcd {theirs}, and this release of rke2 has etcd {ours}",
            f"restore it with the release that it was taken by{by}, or use an earlier snapshot",
        )


async def _run(program: Path, *words: str, bounds: Bounds | None) -> tuple[str, str]:
    """What a program says, and the last line of what it says if it fails, which is empty if it succeeds."""
    process = await asyncio.create_subprocess_exec(
        str(program),
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=bounds.environment() if bounds else None,
    )
    try:
        if bounds:
            bounds.hold(process.pid)
        output, errors = await process.communicate()
    finally:
        await children.end(process)
    told = output.decode(errors="replace")
    if process.returncode == 0:
        return told, ""
    said = errors.decode(errors="replace").strip().splitlines()
    return told, said[-1] if said else f"exit status {process.returncode}"
