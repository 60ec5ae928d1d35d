"""A snapshot as an ETCDSnapshotFile (day2 reference §3.8): what ``list`` answers with, and what the cluster shows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from rke2.config.model import S3Settings
from rke2.kube.objects import Object
from rke2.kube.resources import ETCD_SNAPSHOT_FILES
from rke2.snapshots.directory import SnapshotFile
from rke2.snapshots.failures import Failed
from rke2.snapshots.names import suffix_of
from rke2.snapshots.record import DrillVerdict
from rke2.snapshots.request import VERIFIED
from rke2.snapshots.store import StoredSnapshot

STORAGE_NODE = "etcd.rke2.cattle.io/snapshot-storage-node"
TOKEN_HASH = "etcd.rke2.cattle.io/snapshot-token-hash"
FINALIZER = "wrangler.cattle.io/managed-etcd-snapshots-controller"
LOCAL, S3 = "local", "s3"
"""Where a snapshot is; names of objects begin with it."""

_SUFFIX_DIGITS = 6
_LONGEST = 253 - 13
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_UNSAFE = re.compile(r"[^-._a-zA-Z0-9]")


def config_map_key(file: str, where: str = LOCAL) -> str:
    """Under which the ConfigMap has a snapshot; ``list`` calls the object so, too."""
    return _UNSAFE.sub("_", f"{where}-{file}")


def object_name(file: str, node: str, location: str, taken: int, where: str = LOCAL) -> str:
    """The object's name: from the file's, if that can be part of one, with six digits that tell nodes apart."""
    stem = file.lower()
    if len(stem) > _LONGEST or not _SUBDOMAIN.fullmatch(stem):
        stem = f"etcd-snapshot-{node.partition('.')[0]}-{taken}{suffix_of(file)}"
    digits = hashlib.sha256(f"{node}{location}".encode()).hexdigest()[:_SUFFIX_DIGITS]
    return f"{where}-{stem}-{digits}"


def of_file(snapshot: SnapshotFile, node: str, token_hash: str = "") -> Object:
    """The object of a snapshot that is there."""
    made = _object(snapshot.name, node, snapshot.location, snapshot.taken, token_hash)
    if snapshot.verdict:
        made["metadata"].setdefault("annotations", {})[VERIFIED] = _verdict(snapshot.verdict)
    return _ready(made, snapshot.taken, snapshot.size, snapshot.extra)


def of_stored(snapshot: StoredSnapshot) -> Object:
    """The object of a snapshot in S3; its node is the one that took it, as far as that is known."""
    about = snapshot.about
    made = _object(
        snapshot.name, about.node or S3, snapshot.location, snapshot.taken, about.token_hash, snapshot.store
    )
    return _ready(made, snapshot.taken, snapshot.size, about.extra)


def _ready(made: Object, taken: int, size: int, extra: Mapping[str, str]) -> Object:
    if extra:
        made["spec"]["metadata"] = dict(extra)
    made["status"] = {"readyToUse": True, "creationTime": _rfc3339(taken), "size": str(size)}
    return made


def _verdict(verdict: DrillVerdict) -> str:
    at = _rfc3339(verdict.at)
    return f"failed {at}: {verdict.failure}" if verdict.failure else at


def of_failure(failed: Failed, node: str, token_hash: str = "") -> Object:
    """The object of a snapshot that could not be taken, or copied to S3."""
    made = _object(failed.name, S3 if failed.store else node, "", failed.taken, token_hash, failed.store)
    made["status"] = {
        "readyToUse": False,
        "creationTime": _rfc3339(failed.taken),
        "size": "0",
        "error": {"time": _rfc3339(failed.taken), "message": failed.reason},
    }
    return made


def _object(
    file: str, node: str, location: str, taken: int, token_hash: str, store: S3Settings | None = None
) -> Object:
    meta: dict[str, Any] = {
        "name": object_name(file, node, location, taken, S3 if store else LOCAL),
        "labels": {STORAGE_NODE: S3 if store else node},
        "finalizers": [FINALIZER],
    }
    if token_hash:
        meta["annotations"] = {TOKEN_HASH: token_hash}
    spec: dict[str, Any] = {"snapshotName": file, "nodeName": node, "location": location}
    if store:
        spec["s3"] = store_of(store)
    return {
        "apiVersion": ETCD_SNAPSHOT_FILES.gvk.api_version,
        "kind": ETCD_SNAPSHOT_FILES.gvk.kind,
        "metadata": meta,
        "spec": spec,
    }


def store_of(store: S3Settings) -> dict[str, Any]:
    """``spec.s3``: where to find it again, without the keys."""
    found = {
        "endpoint": store.endpoint,
        "endpointCA": store.endpoint_ca,
        "skipSSLVerify": store.skip_verify,
        "bucket": store.bucket,
        "bucketLookup": "" if store.lookup == "auto" else store.lookup,
        "region": store.region,
        "prefix": store.folder,
        "insecure": store.insecure,
    }
    return {name: value for name, value in found.items() if value}


def listed(
    snapshots: Iterable[SnapshotFile], node: str, token_hash: str = "", stored: Iterable[StoredSnapshot] = ()
) -> Object:
    """The answer to ``list``: objects called by their keys in the ConfigMap, as RKE2's command line has it."""
    found = [(each.taken, each.name, LOCAL, of_file(each, node, token_hash)) for each in snapshots]
    found += [(each.taken, each.name, S3, of_stored(each)) for each in stored]
    items = []
    for _, name, where, made in sorted(found, key=lambda each: each[:3]):
        made["metadata"]["name"] = config_map_key(name, where)
        del made["metadata"]["finalizers"]
        items.append(made)
    return {"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items}


def _rfc3339(taken: int) -> str:
    return datetime.fromtimestamp(taken, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
