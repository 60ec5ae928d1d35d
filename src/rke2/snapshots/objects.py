"""A snapshot as an ETCDSnapshotFile (day2 reference §3.8): what ``list`` answers with, and what the cluster shows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from rke2.kube.objects import Object
from rke2.kube.resources import ETCD_SNAPSHOT_FILES
from rke2.snapshots.directory import SnapshotFile
from rke2.snapshots.names import ZIP
from rke2.snapshots.record import DrillVerdict
from rke2.snapshots.taking import Failed

STORAGE_NODE = "etcd.rke2.cattle.io/snapshot-storage-node"
VERIFIED = "rke2.io/snapshot-verified"
"""What the last drill has shown (ours): when the snapshot was restored for a trial, and why it failed if it did."""
TOKEN_HASH = "etcd.rke2.cattle.io/snapshot-token-hash"
FINALIZER = "wrangler.cattle.io/managed-etcd-snapshots-controller"
LOCAL = "local"

_SUFFIX_DIGITS = 6
_LONGEST = 253 - 13
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_UNSAFE = re.compile(r"[^-._a-zA-Z0-9]")


def config_map_key(file: str) -> str:
    """Under which the ConfigMap has a local snapshot; ``list`` calls the object so, too."""
    return _UNSAFE.sub("_", f"{LOCAL}-{file}")


def object_name(file: str, node: str, location: str, taken: int) -> str:
    """The object's name: from the file's, if that can be part of one, with six digits that tell nodes apart."""
    stem = file.lower()
    if len(stem) > _LONGEST or not _SUBDOMAIN.fullmatch(stem):
        zipped = ZIP if file.endswith(ZIP) else ""
        stem = f"etcd-snapshot-{node.partition('.')[0]}-{taken}{zipped}"
    digits = hashlib.sha256(f"{node}{location}".encode()).hexdigest()[:_SUFFIX_DIGITS]
    return f"{LOCAL}-{stem}-{digits}"


def of_file(snapshot: SnapshotFile, node: str, token_hash: str = "") -> Object:
    """The object of a snapshot that is there."""
    made = _object(snapshot.name, node, snapshot.location, snapshot.taken, token_hash)
    if snapshot.verdict:
        made["metadata"].setdefault("annotations", {})[VERIFIED] = _verdict(snapshot.verdict)
    if snapshot.extra:
        made["spec"]["metadata"] = dict(snapshot.extra)
    made["status"] = {
        "readyToUse": True,
        "creationTime": _rfc3339(snapshot.taken),
        "size": str(snapshot.size),
    }
    return made


def _verdict(verdict: DrillVerdict) -> str:
    at = _rfc3339(verdict.at)
    return f"failed {at}: {verdict.failure}" if verdict.failure else at


def of_failure(failed: Failed, node: str, token_hash: str = "") -> Object:
    """The object of a snapshot that could not be taken."""
    made = _object(failed.name, node, "", failed.taken, token_hash)
    made["status"] = {
        "readyToUse": False,
        "creationTime": _rfc3339(failed.taken),
        "size": "0",
        "error": {"time": _rfc3339(failed.taken), "message": failed.reason},
    }
    return made


def _object(file: str, node: str, location: str, taken: int, token_hash: str) -> Object:
    meta: dict[str, Any] = {
        "name": object_name(file, node, location, taken),
        "labels": {STORAGE_NODE: node},
        "finalizers": [FINALIZER],
    }
    if token_hash:
        meta["annotations"] = {TOKEN_HASH: token_hash}
    return {
        "apiVersion": ETCD_SNAPSHOT_FILES.gvk.api_version,
        "kind": ETCD_SNAPSHOT_FILES.gvk.kind,
        "metadata": meta,
        "spec": {"snapshotName": file, "nodeName": node, "location": location},
    }


def listed(snapshots: Iterable[SnapshotFile], node: str, token_hash: str = "") -> Object:
    """The answer to ``list``: objects called by their keys in the ConfigMap, as RKE2's command line has it."""
    items = []
    for snapshot in snapshots:
        made = of_file(snapshot, node, token_hash)
        made["metadata"]["name"] = config_map_key(snapshot.name)
        del made["metadata"]["finalizers"]
        items.append(made)
    return {"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items}


def _rfc3339(taken: int) -> str:
    return datetime.fromtimestamp(taken, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
