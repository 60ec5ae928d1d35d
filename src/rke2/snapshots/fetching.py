"""A snapshot from S3, for a restore: fetched before anything of the node is changed.

Nothing of the cluster is needed for it: neither the API server nor etcd may be there.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from rke2.config.model import S3Settings
from rke2.errors import ConfigError, HostError
from rke2.s3.client import Bucket
from rke2.s3.transfer import download
from rke2.snapshots import directory, names, record
from rke2.snapshots.config_secret import require_set
from rke2.snapshots.receiving import open_new, put_in_place, synced
from rke2.snapshots.store import StoredSnapshot, find, opened

log = logging.getLogger(__name__)

SCHEME = "s3"
LOCAL = "to restore a snapshot of this server's disk, add --etcd-s3=false"


def named_in_url(store: S3Settings, url: str) -> tuple[S3Settings, str]:
    """The store and the name of a snapshot's location, such as ``s3://bucket/folder/name``.

    Args:
        store: says the rest: endpoint, keys.

    Raises:
        ConfigError: it is no such location, or the rest is in a Secret.
    """
    _refuse_secret(store)
    parts = urlsplit(url)
    folder, _, name = parts.path.lstrip("/").rpartition("/")
    if parts.scheme != SCHEME or not parts.netloc or not name:
        raise ConfigError(
            f"{url!r} is not the location of a snapshot",
            "write s3://<bucket>/<folder>/<name>, as `rke2 etcd-snapshot ls --s3` shows it",
        )
    return replace(store, bucket=parts.netloc, folder=folder), name


async def look_up(store: S3Settings, name: str) -> StoredSnapshot:
    """What is known of a snapshot without fetching it.

    Raises:
        ConfigError: the settings are in a Secret, which cannot be read without the cluster.
        S3Error: there is none, or it cannot be asked for.
    """
    _require_usable(store)
    async with opened(store, f"cannot look up {name} in S3") as bucket:
        return await find(bucket, name)


async def fetch(store: S3Settings, target: Path, *, make: bool) -> None:
    """Have the snapshot that is called like `target` there, and beside it what belongs there.

    Args:
        make: the directory if it is missing, as of the default one.

    Raises:
        ConfigError: the settings are in a Secret, which cannot be read without the cluster.
        S3Error: it cannot be fetched.
        HostError: it cannot be written.
    """
    _require_usable(store)
    log.info("Retrieving etcd snapshot %s from S3", target.name)
    try:
        await asyncio.to_thread(directory.prepare, target.parent, make=make)
        async with opened(store, f"cannot fetch {target.name} from S3") as bucket:
            found = await find(bucket, target.name)
            await _write(bucket, found.key, target)
        if found.about.record:
            await asyncio.to_thread(record.write, target, found.about.record, found.about.extra)
    except OSError as error:
        raise HostError.of(error, f"cannot write {target}") from error
    log.info("S3 download complete for %s", target)


def _require_usable(store: S3Settings) -> None:
    _refuse_secret(store)
    require_set(store)


def _refuse_secret(store: S3Settings) -> None:
    if store.in_secret:
        raise ConfigError(
            "cannot use S3 config secret when restoring snapshot; configuration must be set in CLI or config file",
            f"give --etcd-s3-bucket and the other flags; {LOCAL}",
        )


async def _write(bucket: Bucket, key: str, target: Path) -> None:
    """Write an object to `target`, by way of ``<target>.part``."""
    part = target.with_name(target.name + names.PART)
    try:
        with open_new(part) as file:
            await download(bucket, key, file)
            await asyncio.to_thread(synced, file)
        await asyncio.to_thread(put_in_place, part, target)
    finally:
        part.unlink(missing_ok=True)
