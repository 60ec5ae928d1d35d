"""Snapshots in an object store: ``<folder>/<file>``, the operator's metadata in ``<folder>/.metadata/<file>``.

What a restore can be checked against is in the object's own metadata: beside RKE2's names one with the record
(`rke2.snapshots.record`). Only what lies in the folder itself is a snapshot; a folder below it is somebody else's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from rke2.config.model import NodeConfig, S3Settings
from rke2.errors import S3Error
from rke2.host.parallel import for_each
from rke2.kube.duration import format_duration
from rke2.s3.answers import Listed
from rke2.s3.body import Body
from rke2.s3.client import Bucket, check, open_bucket
from rke2.s3.patience import PAUSES, patiently
from rke2.s3.transfer import give_up_unfinished, upload
from rke2.snapshots import names, record
from rke2.snapshots.cluster_id import ClusterId
from rke2.snapshots.config_secret import effective, require_set
from rke2.snapshots.record import Record

log = logging.getLogger(__name__)

T = TypeVar("T")

SHORT_PAUSES = (1.0, 2.0)
"""For what is asked again soon in any case."""
HEADS_AT_ONCE = 8
LARGEST_RECORD = 1500
"""Bytes: stores take 2 KiB of metadata, names included."""

_CLUSTER, _NODE, _TOKEN, _RECORD = "rke2-cluster-id", "rke2-node-name", "rke2-token-hash", "rke2-record"
_TYPES = {names.ZIP: "application/zip", names.ZST: "application/zstd"}


@dataclass(frozen=True)
class Described:
    """What an object's metadata says; everything empty of an object that is not from rke2."""

    node: str = ""
    cluster: str = ""
    token_hash: str = ""
    record: Record | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredSnapshot:
    """A snapshot in the object store `store`; `taken` is Unix time."""

    store: S3Settings
    key: str
    size: int
    taken: int
    about: Described = Described()

    @property
    def name(self) -> str:
        return name_in(self.key)

    @property
    def location(self) -> str:
        return f"s3://{self.store.bucket}/{self.key}"


class Store:
    """The snapshots of servers in S3, and what this server does with its own.

    All operations raise S3Error, and end after ``etcd-s3-timeout``.
    """

    def __init__(self, config: NodeConfig) -> None:
        self._config = config
        self._cluster = ClusterId(config)
        self._described: dict[tuple[str, str], Described] = {}

    async def upload(self, settings: S3Settings, path: Path) -> StoredSnapshot:
        """Copy the snapshot `path`, and what lies beside it.

        Raises:
            OSError: it cannot be read.
        """
        about = await asyncio.to_thread(self._local, path, await self._cluster.read())
        async with self._opened(settings, f"cannot copy {path.name} to S3") as bucket:
            folder = folder_of(bucket.settings)
            key = folder + path.name
            own = path.name.rpartition("-")[0]
            await patiently(partial(give_up_unfinished, bucket, f"{folder}{own}-"))
            log.info("Uploading snapshot to %s", bucket.url(key))
            kind = _TYPES.get(path.suffix, "application/octet-stream")
            size = await upload(bucket, path, key, content_type=kind, metadata=_metadata(about))
            if about.extra:
                body, beside = Body.of(msgspec.json.encode(dict(about.extra))), _beside(folder, path.name)
                await patiently(partial(bucket.put, beside, body, {"content-type": "application/json"}))
                log.info("Uploaded snapshot metadata %s", bucket.url(beside))
            log.info("S3 upload complete for %s", path.name)
            return StoredSnapshot(bucket.settings, key, size, names.time_in(path.name) or 0, about)

    def _local(self, path: Path, cluster: str) -> Described:
        known, extra = record.read_record(path), record.read_extra(path)
        token, _ = record.fingerprints(self._config.paths)
        return Described(self._config.node.name, cluster, token, known, extra)

    @staticmethod
    def check(settings: S3Settings) -> None:
        """See whether `settings` can be used, as far as can be told without asking anybody."""
        require_set(settings)
        if not settings.is_default:
            check(settings)

    async def settled(self, settings: S3Settings) -> S3Settings:
        """`settings`, or what their Secret says."""
        return await effective(self._config, settings)

    async def inventory(self, settings: S3Settings) -> list[StoredSnapshot]:
        """All snapshots in the folder, by time and then name."""
        async with self._opened(settings, "cannot list snapshots in S3", SHORT_PAUSES) as bucket:
            return await self._list(bucket)

    async def delete(self, settings: S3Settings, wanted: Collection[str]) -> list[str]:
        """Remove the snapshots that are called so; the locations of those that were there."""
        async with self._opened(settings, "cannot remove snapshots in S3", SHORT_PAUSES) as bucket:
            found = [each.key for each in await _objects(bucket) if _name(each) in wanted]
            deleted = await _remove(bucket, found)
        for name in sorted(set(wanted) - {name_in(each) for each in deleted}):
            log.info("Snapshot %s not found in S3", name)
        return deleted

    async def retain(self, settings: S3Settings, base: str, fresh: str = "") -> list[str]:
        """Remove the oldest snapshots of this base name, this node and this cluster, but for the last few.

        RKE2 counts those of all servers together, so that three servers keep a third of what each is told to.
        Returns the locations of those that are gone.

        Args:
            fresh: the one that was just taken, which is the newest whatever the clock says.
        """
        async with self._opened(settings, "cannot remove old snapshots in S3", SHORT_PAUSES) as bucket:
            kept, node = bucket.settings.retention, self._config.node.name
            if kept < 1:
                return []
            folder = folder_of(bucket.settings)
            log.info(
                "Applying snapshot retention=%d to snapshots stored in %s",
                kept,
                bucket.url(f"{folder}{base}-{node}"),
            )
            listed = await _objects(bucket)
            candidates = [each for each in listed if names.parse(_name(each), base, node)]
            if len(candidates) <= kept:
                return []
            own = [each for each in await self._describe(bucket, candidates) if self._is_own(each.about)]
            surplus = sorted(own, key=lambda each: (each.name == fresh, each.taken, each.name))[:-kept]
            return await _remove(bucket, [each.key for each in surplus])

    def _is_own(self, about: Described) -> bool:
        """Whether a snapshot with the name of ours is ours: clusters may share a bucket, and node names recur."""
        if about.node not in ("", self._config.node.name):
            return False
        _, authority = record.fingerprints(self._config.paths)
        if about.record and about.record.ca_hash and authority:
            return about.record.ca_hash == authority
        return about.cluster in ("", self._cluster.known)

    # --- what they share ---------------------------------------------------------------------------
    @asynccontextmanager
    async def _opened(
        self, settings: S3Settings, what: str, pauses: Sequence[float] = PAUSES
    ) -> AsyncIterator[Bucket]:
        async with opened(await effective(self._config, settings), what, pauses) as bucket:
            yield bucket

    async def _list(self, bucket: Bucket) -> list[StoredSnapshot]:
        described = await self._describe(bucket, await _objects(bucket))
        return sorted(described, key=lambda each: (each.taken, each.name))

    async def _describe(self, bucket: Bucket, objects: Sequence[Listed]) -> list[StoredSnapshot]:
        """The snapshots with their metadata: one request for each that is new, as a listing has none."""

        async def describe(each: Listed) -> None:
            which = (bucket.url(each.key), each.etag)
            if which not in self._described:
                self._described[which] = await _described(bucket, each)

        await for_each(objects, describe, at_once=HEADS_AT_ONCE)
        found = {each: self._described[bucket.url(each.key), each.etag] for each in objects}
        if len(self._described) > 2 * len(objects) + 1000:  # of objects that are gone
            self._described = {(bucket.url(each.key), each.etag): about for each, about in found.items()}
        return [
            StoredSnapshot(bucket.settings, each.key, each.size, _taken(each), about)
            for each, about in found.items()
        ]


@asynccontextmanager
async def opened(settings: S3Settings, what: str, pauses: Sequence[float] = PAUSES) -> AsyncIterator[Bucket]:
    """The bucket, once it has answered: to a request for one object alone some stores give no reason.

    Args:
        settings: not of a Secret.
        what: is not possible if it takes too long, in the words of the error.

    Raises:
        S3Error: it does not answer or refuses, or the block takes longer than ``etcd-s3-timeout``.
    """
    try:
        async with asyncio.timeout(settings.timeout), open_bucket(settings) as bucket:
            await patiently(partial(bucket.page, folder_of(settings), limit=1), pauses)
            yield bucket
    except TimeoutError as error:
        limit = format_duration(settings.timeout)
        raise S3Error(f"{what}: it took longer than {limit}", "raise etcd-s3-timeout") from error


async def find(bucket: Bucket, name: str) -> StoredSnapshot:
    """The snapshot that is called so.

    Raises:
        S3Error: there is none.
    """
    key = folder_of(bucket.settings) + name
    for each in await _objects(bucket):
        if each.key == key:
            about = await _described(bucket, each)
            return StoredSnapshot(bucket.settings, key, each.size, _taken(each), about)
    raise S3Error(
        f"there is no snapshot {bucket.url(key)}", "see `rke2 etcd-snapshot ls --s3`", code="NoSuchKey"
    )


def folder_of(settings: S3Settings) -> str:
    """What the keys of snapshots begin with: the folder and a slash, or nothing."""
    folder = settings.folder.strip("/")
    return f"{folder}/" if folder else ""


def name_in(location: str) -> str:
    """The file name at the end of a key or location."""
    return location.rpartition("/")[2]


def _name(listed: Listed) -> str:
    return name_in(listed.key)


def _taken(listed: Listed) -> int:
    return names.time_in(_name(listed)) or int(listed.modified)


def _beside(folder: str, name: str) -> str:
    return f"{folder}.metadata/{name}"


def _metadata(about: Described) -> dict[str, str]:
    """An object's metadata; names are as RKE2 writes them."""
    found = {
        "Rke2-Cluster-Id": about.cluster,
        "Rke2-Node-Name": about.node,
        "Rke2-Token-Hash": about.token_hash,
        "Rke2-Record": _encoded(about.record) if about.record else "",
    }
    return {name: value for name, value in found.items() if value}


def _encoded(known: Record) -> str:
    """The record; without its counts where these are so many that stores refuse such metadata."""
    text = msgspec.json.encode(known).decode("ascii")
    if len(text) > LARGEST_RECORD:
        text = msgspec.json.encode(msgspec.structs.replace(known, counts={})).decode("ascii")
    return text


async def _objects(bucket: Bucket) -> list[Listed]:
    """The objects in the folder itself; empty ones stand for folders."""
    folder, found, after = folder_of(bucket.settings), list[Listed](), ""
    while True:
        page = await patiently(partial(bucket.page, folder, after), SHORT_PAUSES)
        found += [each for each in page.objects if each.size and "/" not in each.key.removeprefix(folder)]
        if not page.next:
            return found
        after = page.next


async def _described(bucket: Bucket, listed: Listed) -> Described:
    found = await patiently(partial(bucket.metadata, listed.key), SHORT_PAUSES)
    extra = await _extra(bucket, listed) if _NODE in found else {}
    return Described(
        found.get(_NODE, ""),
        found.get(_CLUSTER, ""),
        found.get(_TOKEN, ""),
        _record(found.get(_RECORD, "")),
        extra,
    )


def _record(text: str) -> Record | None:
    try:
        return msgspec.json.decode(text, type=Record) if text else None
    except msgspec.DecodeError:
        return None


async def _extra(bucket: Bucket, listed: Listed) -> dict[str, str]:
    key = _beside(folder_of(bucket.settings), _name(listed))
    try:
        async with bucket.get(key, 0, "") as response:
            return msgspec.json.decode(await response.read(), type=dict[str, str])
    except msgspec.DecodeError as error:
        log.warning("%s is ignored: %s", bucket.url(key), error)
        return {}
    except S3Error as error:
        if error.code != "NoSuchKey":
            raise
        return {}


async def _remove(bucket: Bucket, keys: Sequence[str]) -> list[str]:
    deleted = list[str]()
    for key in keys:
        log.info("Removing S3 snapshot: %s", bucket.url(key))
        await patiently(partial(bucket.delete, key), SHORT_PAUSES)
        folder, _, name = key.rpartition("/")
        beside = _beside(f"{folder}/" if folder else "", name)
        await patiently(partial(bucket.delete, beside), SHORT_PAUSES)
        deleted.append(bucket.url(key))
    return deleted
