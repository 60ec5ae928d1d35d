"""Taking, listing and removing the snapshots of this server's member: what requests and the schedule have done.

Order of a save (day2 reference §3.3): extra metadata, state of the member, directory, stream to a file, compression,
what is written beside it, retention. Unlike in RKE2 a save that fails raises and ends the command with 1.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rke2.config.model import NodeConfig, S3Settings, SnapshotSettings
from rke2.config.paths import Paths
from rke2.config.snapshots import NAME_RULE, is_base_name
from rke2.errors import EtcdError, HostError, RKE2Error, explained
from rke2.etcd.client import EtcdClient, local_endpoint
from rke2.etcd.messages import StatusResponse
from rke2.snapshots import compression, directory, names, receiving, record
from rke2.snapshots.copying import Copies
from rke2.snapshots.counting import count_keys
from rke2.snapshots.directory import SnapshotFile
from rke2.snapshots.failures import Failed
from rke2.snapshots.metrics import Durations
from rke2.snapshots.names import Name
from rke2.snapshots.request import SnapshotAnswer, SnapshotRequestError
from rke2.snapshots.store import Store
from rke2.version import VERSION

log = logging.getLogger(__name__)

Extra = Callable[[], Awaitable[Mapping[str, str]]]
"""Reads the operator's metadata for new snapshots; raises nothing, as no snapshot may fail for it."""


@dataclass(frozen=True)
class Wish:
    """How a snapshot is to be taken, or which are to be pruned; in S3, too, if `s3` is set."""

    base: str
    directory: Path
    compress: bool
    retention: int
    s3: S3Settings | None = None
    compression: str = compression.DEFAULT


class Snapshots:
    """The snapshots of this server.

    Args:
        etcd: client of its own member.
        extra: asked before each save.
        store: of copies in S3.

    Attributes:
        changed: set after each change, for who tells the cluster of it; that one clears it.
        failed: saves that failed since then, to be told, too.
        retention_failures: likewise, why old snapshots could not be removed.
        verdicts: likewise, of drills.
        copies: what is done in S3.
        durations: how long all of it took.
    """

    def __init__(
        self, config: NodeConfig, etcd: EtcdClient, extra: Extra, store: Store | None = None
    ) -> None:
        self._config, self._etcd, self._extra = config, etcd, extra
        self._saving = asyncio.Lock()
        self.durations = Durations()
        self.copies = Copies(store or Store(config), self.durations)
        self.changed = asyncio.Event()
        self.failed: deque[Failed] = deque(maxlen=20)
        self.retention_failures: deque[str] = deque(maxlen=20)
        self.verdicts: deque[tuple[SnapshotFile, record.DrillVerdict]] = deque(maxlen=20)

    @property
    def config(self) -> NodeConfig:
        return self._config

    @property
    def settings(self) -> SnapshotSettings:
        assert self._config.server is not None
        return self._config.server.snapshots

    @property
    def node(self) -> str:
        return self._config.node.name

    @property
    def paths(self) -> Paths:
        return self._config.paths

    @property
    def directory(self) -> Path:
        """Where snapshots are put, unless a request says otherwise."""
        return self.settings.directory or self._config.paths.snapshots

    def wish(
        self,
        base: str | None = None,
        directory: str | None = None,
        compress: bool | None = None,
        retention: int | None = None,
        s3: S3Settings | None = None,
        how: str | None = None,
    ) -> Wish:
        """What is wanted, the rest as configured; S3 only if it is given.

        Raises:
            SnapshotRequestError: the base name or directory leaves the places that are configured.
        """
        settings = self.settings
        name = settings.name if base is None else base
        if not is_base_name(name):
            raise SnapshotRequestError(f"invalid snapshot name {name!r}", NAME_RULE)
        if how and how not in compression.FORMATS:
            raise SnapshotRequestError(
                f"invalid compression {how!r}", f"choose from {', '.join(compression.FORMATS)}"
            )
        return Wish(
            name,
            self.place(directory),
            settings.compress if compress is None else compress,
            settings.retention if retention is None else retention,
            s3,
            how or settings.compression,
        )

    def place(self, wanted: str | None) -> Path:
        """The directory of a request.

        Raises:
            SnapshotRequestError: it is outside of the configured one, and ``etcd-snapshot-restrictions`` is on.
        """
        if not wanted:
            return self.directory
        path = Path(wanted)
        inside = path.resolve().is_relative_to(self.directory.resolve())
        if not path.is_absolute() or (self.settings.restrictions and not inside):
            raise SnapshotRequestError(
                f"invalid snapshot directory {wanted!r}: it is not {self.directory} or below it",
                "set etcd-snapshot-dir on the server, or allow any with etcd-snapshot-restrictions: false there",
            )
        return path

    # --- save --------------------------------------------------------------------------------------
    async def save(self, wish: Wish) -> SnapshotAnswer:
        """Take a snapshot, then apply the retention.

        Returns:
            Its name and those that were removed; nothing if this member is a learner. That it could not be copied to
            S3 is an error of the answer.

        Raises:
            EtcdError: another save is going on; etcd does not give one.
            HostError: it cannot be written.
        """
        if self._saving.locked():
            raise EtcdError("snapshot save already in progress", "try again when it is done", code="ABORTED")
        async with self._saving:
            with self.durations.save.timed() as outcome:
                answer = await self._save_and_copy(wish)
                outcome.failed = bool(answer.errors)
        return answer

    async def _save_and_copy(self, wish: Wish) -> SnapshotAnswer:
        try:
            with self.durations.save_local.timed():
                path = await self._save(wish)
        finally:
            self.changed.set()
        if path is None:
            return SnapshotAnswer()
        answer = SnapshotAnswer([path.name], await self._retain(wish, path.name))
        if wish.s3:
            answer = answer.and_then(await self.copies.after_save(wish.s3, path, wish.base))
            self.changed.set()
        return answer

    async def _save(self, wish: Wish) -> Path | None:
        extra = await self._extra()
        name = Name(wish.base, self._config.node.name, int(time.time()))
        try:
            status = await self._status()
            if status.is_learner:
                log.warning("Unable to take snapshot: not supported for learner")
                return None
            return await self._take(wish, name, status, extra)
        except (RKE2Error, OSError) as error:
            fault = explained(error, "cannot write a snapshot")
            log.error("Failed to take etcd snapshot: %s", fault)
            self.failed.append(Failed(str(name), name.taken, fault.message))
            raise fault from error

    async def _status(self) -> StatusResponse:
        try:
            return await self._etcd.status(local_endpoint(self._config))
        except EtcdError as error:
            message = f"failed to check etcd status for snapshot: {error.message}"
            raise EtcdError(message, error.remedy, code=error.code) from error

    async def _take(self, wish: Wish, name: Name, status: StatusResponse, extra: Mapping[str, str]) -> Path:
        default = wish.directory == self._config.paths.snapshots
        await asyncio.to_thread(directory.prepare, wish.directory, make=default)
        await asyncio.to_thread(directory.remove_parts, wish.directory)
        path = _free(wish.directory, name)
        log.info("Saving etcd snapshot to %s", path)
        # Before the stream begins: what is compacted later can still be counted at this revision.
        counts = await self._count(status)
        parts = self._etcd.snapshot(local_endpoint(self._config))
        received = await receiving.receive(parts, path)
        about = self._record(name, status, received, counts)
        if wish.compress:
            path = await asyncio.to_thread(_compress, path, name.taken, wish.compression)
        await asyncio.to_thread(_describe, path, about, extra)
        return path

    async def _count(self, status: StatusResponse) -> dict[str, int]:
        """Keys per resource, for drills to compare; a snapshot does not fail for them."""
        try:
            return await count_keys(self._etcd, status.header.revision if status.header else 0)
        except EtcdError as error:
            log.warning("The keys in the snapshot are not counted: %s", error.message)
            return {}

    def _record(
        self, name: Name, status: StatusResponse, received: receiving.Received, counts: Mapping[str, int]
    ) -> record.Record:
        token, ca = record.fingerprints(self._config.paths)
        return record.Record(
            node=name.node,
            taken=name.taken,
            version=VERSION,
            etcd_version=status.version,
            storage_version=received.version,
            member=f"{status.member_id:x}",
            cluster=f"{status.header.cluster_id:x}" if status.header else "",
            revision=status.header.revision if status.header else 0,
            size=received.size,
            sha256=received.sha256,
            token_hash=token,
            ca_hash=ca,
            counts=dict(counts),
        )

    async def _retain(self, wish: Wish, fresh: str) -> list[str]:
        """Apply the retention after a save; that it fails is told, and fails no save."""
        try:
            return await self._prune(wish, fresh)
        except (RKE2Error, OSError) as error:
            log.error("Failed to apply local snapshot retention policy: %s", error)
            self.retention_failures.append(str(error))
            return []

    # --- the others --------------------------------------------------------------------------------
    async def inventory(self, wanted: str | None = None) -> list[SnapshotFile]:
        """The snapshots in the directory of a request, by time.

        Raises:
            SnapshotRequestError: see `place`.
            HostError: it cannot be read.
        """
        try:
            return await asyncio.to_thread(directory.list_snapshots, self.place(wanted))
        except OSError as error:
            raise HostError.of(error, "cannot list snapshots") from error

    async def prune(self, wish: Wish) -> SnapshotAnswer:
        """Remove what the retention does not keep.

        Raises:
            HostError: nothing could be removed.
        """
        answer = SnapshotAnswer(deleted=await self._prune(wish))
        if wish.s3:
            answer = answer.and_then(await self.copies.retain(wish.s3, wish.base))
        self.changed.set()
        return answer

    async def delete(
        self, wanted: Sequence[str], place: str | None = None, s3: S3Settings | None = None
    ) -> SnapshotAnswer:
        """Remove the snapshots that are called so; what is not there is left out of the answer.

        Raises:
            SnapshotRequestError: no names, or see `place`.
            HostError: none of them could be removed.
        """
        if not wanted:
            raise SnapshotRequestError("no snapshots given for removal")
        listed = await self.inventory(place)
        found = directory.named(listed, wanted)
        for name in sorted(set(wanted) - {each.name for each in found}):
            log.info("Snapshot %s not found locally", name)
        answer = SnapshotAnswer(deleted=await _remove(found))
        if s3:
            answer = answer.and_then(await self.copies.delete(s3, wanted))
        self.changed.set()
        return answer

    async def _prune(self, wish: Wish, fresh: str = "") -> list[str]:
        node, kept = self._config.node.name, wish.retention
        if kept < 1:
            return []
        log.info(
            "Applying snapshot retention=%d to local snapshots with prefix %s in %s",
            kept,
            f"{wish.base}-{node}",
            wish.directory,
        )
        listed = await asyncio.to_thread(directory.list_snapshots, wish.directory, extra=False)
        return await _remove(directory.surplus(listed, wish.base, node, kept, wish.directory, fresh))


def _free(place: Path, name: Name) -> Path:
    """A path nothing has: of two saves in one second the other has the next second's name."""
    while any((place / f"{name}{suffix}").exists() for suffix in ("", *names.COMPRESSED)):
        name = replace(name, taken=name.taken + 1)
    return place / str(name)


def _compress(path: Path, taken: int, how: str) -> Path:
    log.info("Compressing etcd snapshot file: %s", path.name)
    try:
        compressed = compression.compress(path, taken, how)
    except OSError as error:
        raise HostError.of(error, "failed to compress snapshot") from error
    log.info("Compressed snapshot: %s", compressed)
    return compressed


def _describe(path: Path, about: record.Record, extra: Mapping[str, str]) -> None:
    """A snapshot without what is beside it is a snapshot: a failure is only told."""
    try:
        record.write(path, about, extra)
    except OSError as error:
        log.warning("Failed to save snapshot metadata of %s: %s", path.name, error)


async def _remove(snapshots: Sequence[SnapshotFile]) -> list[str]:
    """Remove them; the names of those that are gone.

    Raises:
        HostError: of several none could be removed.
    """
    deleted, failure = [], None
    for each in snapshots:
        try:
            await asyncio.to_thread(directory.remove, each)
        except OSError as error:
            failure = HostError.of(error, f"Failed to delete local snapshot {each.name}")
            log.error("%s", failure)
        else:
            log.info("Removing local snapshot %s", each.path)
            deleted.append(each.name)
    if failure and not deleted:
        raise failure
    return deleted
