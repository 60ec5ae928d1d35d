"""A drill: a snapshot is restored into a scratch etcd beside the running one, opened, and compared with its record.

What a restore needs is what is tried: the sum, etcd's own tool, an etcd on the result, the cluster's keys under the
token, Secrets under those keys. Nothing of the server is touched, and nothing of the drill is left.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rke2.config.model import NodeConfig
from rke2.errors import ComponentError, EtcdError, JoinError
from rke2.etcd.client import EtcdClient, prefix_end
from rke2.etcd.membership import Self
from rke2.etcd.messages import DESCEND, KeyValue, RangeRequest
from rke2.host.files import ensure_dir
from rke2.join.bootstrap import BootstrapData
from rke2.join.store import BootstrapStore
from rke2.pki.envelope import encryption_keys, open_value
from rke2.snapshots import record, restoring
from rke2.snapshots.bounds import Bounds
from rke2.snapshots.counting import ROOT, count_keys
from rke2.snapshots.directory import SnapshotFile
from rke2.snapshots.member import temporary_member
from rke2.snapshots.record import DrillVerdict, Record

LOG = "drill-etcd.log"
SAMPLE = 10
"""Secrets that are decrypted from each end of their list."""
_SECRETS = ROOT + b"secrets/"
_SHOWN = 5
"""Resources that a message names, of those whose number of keys is wrong."""


@dataclass(frozen=True)
class Found:
    """What the restored database holds."""

    revision: int
    counts: Mapping[str, int]
    decrypted: int


async def drill(
    config: NodeConfig, snapshot: SnapshotFile, programs: Path, scratch: Path, bounds: Bounds
) -> DrillVerdict:
    """Try whether `snapshot` restores.

    Args:
        programs: directory of etcd and etcdutl.
        scratch: a directory of its own; empty, and emptied by the caller.

    Raises:
        HostError: this host cannot do it, which says nothing of the snapshot.
    """
    began, at = time.monotonic(), int(time.time())
    try:
        found = await _try(config, snapshot.path, programs, scratch, bounds)
    except (EtcdError, JoinError, ComponentError) as error:
        return DrillVerdict(snapshot.name, at, error.message, seconds=_since(began))
    keys = sum(found.counts.values())
    return DrillVerdict(
        snapshot.name, at, "", found.revision, keys, len(found.counts), found.decrypted, _since(began)
    )


def _since(began: float) -> float:
    return round(time.monotonic() - began, 1)


async def _try(config: NodeConfig, source: Path, programs: Path, scratch: Path, bounds: Bounds) -> Found:
    token = await asyncio.to_thread(config.paths.token.read_text)
    own = Self.of(config, f"drill-{secrets.token_hex(4)}")
    snapshot = await asyncio.to_thread(
        restoring.check, source, record.token_hash(token.strip()), ensure_dir(scratch, 0o700)
    )
    data = scratch / "etcd"
    # As it was, not raised and compacted: what was counted at the snapshot's revision is counted there again.
    await restoring.restore(snapshot, own, programs / "etcdutl", data, ahead=0, bounds=bounds)
    async with temporary_member(
        config, own, data, scratch, programs / "etcd", log_name=LOG, bounds=bounds
    ) as client:
        return await _look(client, token.strip(), snapshot.record)


async def _look(client: EtcdClient, token: str, known: Record | None) -> Found:
    status = await client.status()
    revision = status.header.revision if status.header else 0
    if known and revision < known.revision:
        raise EtcdError(f"the snapshot ends at revision {revision}; its record says {known.revision}")
    counts = await count_keys(client, known.revision if known else 0)
    if known and known.counts:
        _compare(known.counts, counts)
    keys = await BootstrapStore(client, token).load()
    if keys is None:
        raise EtcdError("the snapshot holds no keys of a cluster", "it cannot be restored: use another one")
    return Found(revision, counts, await _decrypt(client, keys))


def _compare(known: Mapping[str, int], counts: Mapping[str, int]) -> None:
    wrong = [
        f"{name} {counts.get(name, 0)} instead of {known.get(name, 0)}"
        for name in sorted(known.keys() | counts.keys())
        if counts.get(name, 0) != known.get(name, 0)
    ]
    if wrong:
        more = f", and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise EtcdError(
            f"the snapshot holds another number of keys than its record says: {', '.join(wrong[:_SHOWN])}{more}"
        )


async def _decrypt(client: EtcdClient, cluster: BootstrapData) -> int:
    """Open some Secrets with the keys in the snapshot; how many were."""
    entry = cluster.entries.get("EncryptionConfig")
    try:
        keys = encryption_keys(entry.content) if entry else {}
    except ValueError as error:
        raise EtcdError(f"the encryption configuration in the snapshot cannot be used: {error}") from error
    sample = await _sample(client)
    for each in sample.values():
        try:
            open_value(each.value, each.key, keys)
        except ValueError as error:
            raise EtcdError(f"{each.key.decode(errors='replace')} cannot be decrypted: {error}") from error
    return len(sample)


async def _sample(client: EtcdClient) -> dict[bytes, KeyValue]:
    found: dict[bytes, KeyValue] = {}
    for order in (0, DESCEND):
        request = RangeRequest(_SECRETS, prefix_end(_SECRETS), limit=SAMPLE, sort_order=order)
        found |= {each.key: each for each in (await client.range(request)).kvs}
    return found


def empty(scratch: Path) -> Path:
    """`scratch` as a new directory; what a drill that was killed has left is removed."""
    shutil.rmtree(scratch, ignore_errors=True)
    return ensure_dir(scratch, 0o700)
