"""The ConfigMap ``kube-system/rke2-etcd-snapshots``, read by Rancher (day2 reference §3.9); the etcd leader writes it.

It has the snapshots with extra metadata only. The leader also takes the finalizer off objects that are deleted, and
says that they are.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import random
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from rke2.errors import KubeError
from rke2.kube.client import Client, PatchType
from rke2.kube.events import EventRecorder
from rke2.kube.informer import Informer
from rke2.kube.nodes import ETCD_ROLE
from rke2.kube.objects import Key, Object, annotations_of, metadata, name_of
from rke2.kube.persistence import persist
from rke2.kube.resources import CONFIG_MAPS, ETCD_SNAPSHOT_FILES, NODES
from rke2.kube.workqueue import WorkQueue
from rke2.snapshots.names import suffix_of
from rke2.snapshots.objects import FINALIZER, LOCAL, S3, config_map_key
from rke2.snapshots.reconciling import S3_TIMESTAMP, TIMESTAMP

log = logging.getLogger(__name__)

NAMESPACE, NAME = "kube-system", "rke2-etcd-snapshots"
FULL_PASS = 600 * 60.0
_JITTER = 0.04
_ELIDED = 4
"""How many of the oldest entries go first from one that is too large, then twice as many, …"""
_TOO_LARGE = 413

Data = dict[str, str]


def entry(obj: Object) -> str | None:
    """What the ConfigMap has of a snapshot; None of one without extra metadata."""
    spec, status = obj["spec"], obj.get("status") or {}
    if not spec.get("metadata"):
        return None
    error = status.get("error") or {}
    value: dict[str, Any] = {
        "name": spec["snapshotName"],
        "location": spec.get("location") or None,
        "metadata": _base64(msgspec.json.encode(spec["metadata"])),
        "message": _base64(str(error["message"]).encode()) if error.get("message") else None,
        "nodeName": S3 if spec.get("s3") else spec["nodeName"],
        "createdAt": status.get("creationTime"),
        "size": int(status.get("size") or 0),
        "status": "failed" if error else "successful",
        "s3Config": _s3_config(spec["s3"]) if spec.get("s3") else None,
        "compressed": bool(suffix_of(str(spec["snapshotName"]))),
    }
    kept = {key: item for key, item in value.items() if item is not None}
    return msgspec.json.encode(kept).decode()


def _s3_config(store: Mapping[str, Any]) -> dict[str, Any]:
    """What the object calls prefix is called folder here."""
    config = {("folder" if name == "prefix" else name): value for name, value in store.items()}
    return {**config, "timeout": "0s"}


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def key_of_object(obj: Object) -> str:
    """The key of a snapshot's entry."""
    return config_map_key(str(obj["spec"]["snapshotName"]), S3 if obj["spec"].get("s3") else LOCAL)


def without_oldest(data: Mapping[str, str], number: int) -> Data:
    """`data` without the `number` entries whose snapshots are the oldest."""
    by_age = sorted(data, key=lambda key: (_created(data[key]), key))
    return {key: data[key] for key in data if key not in by_age[:number]}


def _created(value: str) -> str:
    return str(_decoded(value).get("createdAt") or "")


def _decoded(value: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(value)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def swept(data: Mapping[str, str], objects: Iterable[Object], nodes: Iterable[Object]) -> Data:
    """`data` after a full pass: without entries of nodes that are gone, or whose node says it has no such snapshot.

    A node says so with a time stamp; until one does, earlier releases may be at work and nothing is touched. Likewise
    with entries of S3, which any node with a time stamp of that kind speaks for.
    """
    notes = {name_of(node): annotations_of(node) for node in nodes}
    stamped = {name: TIMESTAMP in found for name, found in notes.items()}
    stamped[S3] = any(S3_TIMESTAMP in found for found in notes.values())
    if not any(stamped.values()):
        return dict(data)
    known = {key_of_object(obj) for obj in objects}

    def stays(key: str) -> bool:
        node = str(_decoded(data[key]).get("nodeName") or "")
        return key in known or (node in stamped and not stamped[node])

    return {key: value for key, value in data.items() if stays(key)}


class SnapshotConfigMap:
    """One term of leadership."""

    def __init__(self, client: Client, node: str) -> None:
        self._client = client
        self._files = Informer(client, ETCD_SNAPSHOT_FILES)
        # One at a time: all of them write the same object.
        self._queue = WorkQueue("ConfigMap entry of snapshot", self._reconcile, workers=1, limit=15.0)
        self._events = EventRecorder(client, "rke2-supervisor", node)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._events.run(), name="events of snapshots")
            tasks.create_task(self._files.run(), name="watch snapshots")
            await self._files.synced()
            self._files.listen(lambda change: self._queue.add(change.key))
            for key in self._files.objects:
                self._queue.add(key)
            tasks.create_task(self._passes(), name="full passes over snapshots")
            await self._queue.run()

    async def _passes(self) -> None:
        while True:
            await persist("entries of snapshots that are gone", self._pass)
            await asyncio.sleep(FULL_PASS * random.uniform(1 - _JITTER, 1 + _JITTER))

    async def _pass(self) -> None:
        present = await self._client.find(CONFIG_MAPS, NAME, NAMESPACE)
        if present:
            nodes = (
                await self._client.list(NODES, label_selector=f"{ETCD_ROLE}=true", metadata_only=True)
            ).items
            before = present.get("data") or {}
            after = swept(before, self._files.objects.values(), nodes)
            if after != before:
                await self._client.update(CONFIG_MAPS, {**present, "data": after})

    async def _reconcile(self, key: Key) -> float | None:
        obj = self._files.objects.get(key)
        if obj is None:
            return None
        if metadata(obj).get("deletionTimestamp"):
            await self._gone(obj)
        elif value := entry(obj):
            await self._write(key_of_object(obj), value)
        return None

    async def _gone(self, obj: Object) -> None:
        finalizers = list(metadata(obj).get("finalizers") or ())
        if FINALIZER not in finalizers:
            return
        await self._write(key_of_object(obj), None)
        kept = [each for each in finalizers if each != FINALIZER]
        # Only of the object that was seen: another one of its name has just been made, perhaps.
        version = metadata(obj)["resourceVersion"]
        patch = {"metadata": {"finalizers": kept, "resourceVersion": version}}
        try:
            await self._client.patch(ETCD_SNAPSHOT_FILES, name_of(obj), patch, PatchType.MERGE)
        except KubeError as error:
            if error.status != 404:
                raise
        message = f"Snapshot {obj['spec']['snapshotName']} deleted"
        self._events.emit(obj, "Normal", "ETCDSnapshotDeleted", message)

    async def _write(self, key: str, value: str | None) -> None:
        present = await self._client.find(CONFIG_MAPS, NAME, NAMESPACE)
        before: Data = (present or {}).get("data") or {}
        if before.get(key) == value:
            return
        after = {name: text for name, text in before.items() if name != key}
        if value is not None:
            after[key] = value
        await self._store(present, after)

    async def _store(self, present: Object | None, data: Data) -> None:
        """Write `data`, or as much of it as the API server takes."""
        elided = 0
        while True:
            kept = without_oldest(data, elided)
            try:
                await self._put(present, kept)
                return
            except KubeError as error:
                if elided >= len(data) or not (error.status == _TOO_LARGE or "Too long" in error.message):
                    raise
            elided += _ELIDED
            log.warning(
                "Snapshot ConfigMap is too large, attempting to elide %d of %d entries to reduce size",
                elided,
                len(data),
            )

    async def _put(self, present: Object | None, data: Data) -> None:
        if present:
            await self._client.update(CONFIG_MAPS, {**present, "data": data})
            return
        made = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
            "data": data,
        }
        await self._client.create(CONFIG_MAPS, made)
