"""A snapshot from S3, for a restore: fetched before anything of the node is changed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rke2.config.model import S3Settings
from rke2.errors import ConfigError, HostError
from rke2.snapshots import directory
from rke2.snapshots.taking import Snapshots

LOCAL = "to restore a snapshot of this server's disk, add --etcd-s3=false"


async def fetch(snapshots: Snapshots, store: S3Settings, target: Path) -> None:
    """Have the snapshot that is called like `target` there.

    Raises:
        ConfigError: the settings are in a Secret, which cannot be read without the cluster.
        S3Error: it cannot be fetched.
        HostError: it cannot be written.
    """
    if store.config_secret and store.is_default:
        raise ConfigError(
            "cannot use S3 config secret when restoring snapshot; configuration must be set in CLI or config file",
            f"give --etcd-s3-bucket and the other flags; {LOCAL}",
        )
    try:
        default = target.parent == snapshots.paths.snapshots
        await asyncio.to_thread(directory.prepare, target.parent, make=default)
        await snapshots.copies.store.download(store, target.name, target.parent)
    except OSError as error:
        raise HostError.of(error, f"cannot write {target}") from error
