"""ETCDSnapshotFile objects of this server's snapshots: they follow the files (day2 reference §3.8).

After each change by us, and every ``etcd-snapshot-reconcile-interval``, for what appears and vanishes behind our back.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from rke2.config.model import S3Settings
from rke2.errors import KubeError, S3Error
from rke2.kube.client import Client
from rke2.kube.events import EventRecorder
from rke2.kube.nodes import ETCD_ROLE
from rke2.kube.objects import Object, annotations_of, labels_of, metadata, name_of
from rke2.kube.persistence import persist
from rke2.kube.resources import ETCD_SNAPSHOT_FILES, NODES
from rke2.kube.timestamps import now_seconds
from rke2.snapshots import objects, record
from rke2.snapshots.failures import Failed
from rke2.snapshots.objects import FINALIZER, S3, STORAGE_NODE
from rke2.snapshots.taking import Snapshots

log = logging.getLogger(__name__)

TIMESTAMP = "etcd.rke2.cattle.io/local-snapshots-timestamp"
S3_TIMESTAMP = "etcd.rke2.cattle.io/s3-snapshots-timestamp"
FAILURES_KEPT = timedelta(hours=24)
SETTLING = timedelta(minutes=1)
"""How long an object of S3 stays that a listing lacks: another server has just uploaded it, perhaps."""
_JITTER = 0.05
_REGISTERING = 5.0
"""Seconds until the next round of a server that has no Node yet."""


@dataclass(frozen=True)
class ObjectPlan:
    """What has to be done for the objects to be those of the files."""

    create: list[Object] = field(default_factory=list)
    update: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)


def plan(present: Iterable[Object], wanted: Mapping[str, Object], now: datetime) -> ObjectPlan:
    """Compare the objects of this server with those that its files stand for.

    Failures have no file; their objects stay for a day.

    Args:
        wanted: by name.
    """
    made, seen = ObjectPlan(), set[str]()
    for live in present:
        name = name_of(live)
        if metadata(live).get("deletionTimestamp"):
            seen.add(name)
        elif name in wanted:
            seen.add(name)
            if corrected := _corrected(live, wanted[name]):
                made.update.append(corrected)
        elif not _recent_failure(live, now) and not _settling(live, now):
            made.delete.append(live)
    made.create.extend(obj for name, obj in wanted.items() if name not in seen)
    return made


def _corrected(live: Object, wanted: Object) -> Object | None:
    """`live` as it should be; None if it is. What others have added stays."""
    meta = metadata(live)
    labels = {**labels_of(live), **labels_of(wanted)}
    notes = {**annotations_of(live), **annotations_of(wanted)}
    finalizers = list(dict.fromkeys([*(meta.get("finalizers") or ()), FINALIZER]))
    right: dict[str, Any] = {**meta, "labels": labels, "finalizers": finalizers}
    if notes:
        right["annotations"] = notes
    if right == meta and live.get("spec") == wanted["spec"] and live.get("status") == wanted["status"]:
        return None
    return {**live, "metadata": right, "spec": wanted["spec"], "status": wanted["status"]}


def _recent_failure(live: Object, now: datetime) -> bool:
    error = (live.get("status") or {}).get("error")
    return error is not None and _younger(error.get("time"), now, FAILURES_KEPT)


def _settling(live: Object, now: datetime) -> bool:
    in_s3 = labels_of(live).get(STORAGE_NODE) == S3
    return in_s3 and _younger(metadata(live).get("creationTimestamp"), now, SETTLING)


def _younger(time: object, now: datetime, age: timedelta) -> bool:
    try:
        return now - datetime.fromisoformat(str(time)) < age
    except (ValueError, TypeError):
        return False


class SnapshotFiles:
    """Keeps the objects of this server in step.

    Args:
        client: with the supervisor's credentials.
    """

    def __init__(self, client: Client, snapshots: Snapshots) -> None:
        self._client, self._snapshots, self._warned = client, snapshots, ""
        self._events = EventRecorder(client, "rke2-supervisor", snapshots.node)

    async def run(self) -> None:
        """Work until cancelled; an API server that does not answer is waited for."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._events.run(), name="events of snapshots")
            while True:
                self._snapshots.changed.clear()
                told = await persist("record of snapshots for the cluster", self.reconcile, first=1.0)
                await self._until_due(told=told)

    async def _until_due(self, *, told: bool) -> None:
        interval = self._snapshots.settings.reconcile_interval * random.uniform(1.0, 1.0 + _JITTER)
        interval = interval if told else min(interval, _REGISTERING)
        try:
            async with asyncio.timeout(interval):
                await self._snapshots.changed.wait()
        except TimeoutError:
            pass

    async def reconcile(self) -> bool:
        """Bring the objects in step once.

        Returns:
            Whether the own Node was told of it; False if there is none yet.

        Raises:
            KubeError: the API server refuses or does not answer.
        """
        log.debug("Reconciling ETCDSnapshotFile resources")
        with self._snapshots.durations.reconcile.timed() as outcome:
            stored = await self._reconcile_all()
            outcome.failed = self._missed(stored)
        log.debug("Reconciliation of ETCDSnapshotFile resources complete")
        return await self._stamp(self._snapshots.node, TIMESTAMP, *([S3_TIMESTAMP] if stored else []))

    async def _reconcile_all(self) -> bool:
        """Whether what is in S3 could be listed."""
        with self._snapshots.durations.reconcile_local.timed():
            await self._reconcile_local()
        await self._tell_failures()
        await self._tell_verdicts()
        with self._snapshots.durations.reconcile_s3.timed() as outcome:
            stored = await self._reconcile_stored()
            outcome.failed = self._missed(stored)
        await self._remove_of_others()
        return stored

    def _missed(self, stored: bool) -> bool:
        """Whether there is a store that could not be listed."""
        return self._snapshots.settings.s3 is not None and not stored

    async def _reconcile_local(self) -> None:
        selector = f"{STORAGE_NODE}={self._snapshots.node}"
        page = await self._client.list(ETCD_SNAPSHOT_FILES, label_selector=selector)
        await self._do(plan(page.items, await self._wanted(), datetime.now(UTC)))

    async def _reconcile_stored(self) -> bool:
        """The same for snapshots in S3; whether they could be listed.

        All servers that are configured for a store look after its objects; those of other stores are left alone, but
        for what was done there on request.
        """
        copies, settings = self._snapshots.copies, self._snapshots.settings.s3
        while copies.made:
            await self._create(objects.of_stored(copies.made[0]))
            copies.made.popleft()
        found = await self._list_stored(settings) if settings else None
        if found is None and not copies.removed:
            return False
        page = await self._client.list(ETCD_SNAPSHOT_FILES, label_selector=f"{STORAGE_NODE}={S3}")
        gone = [each for each in page.items if each["spec"].get("location") in copies.removed]
        await self._do(
            ObjectPlan(delete=[each for each in gone if not metadata(each).get("deletionTimestamp")])
        )
        copies.removed.clear()
        if found is None:
            return False
        where, wanted = found
        left = [each for each in page.items if each not in gone and each["spec"].get("s3") == where]
        await self._do(plan(left, wanted, datetime.now(UTC)))
        return True

    async def _list_stored(self, settings: S3Settings) -> tuple[dict[str, Any], dict[str, Object]] | None:
        """``spec.s3`` of the store, and the objects its snapshots stand for; None if it cannot be asked."""
        store = self._snapshots.copies.store
        try:
            settled = await store.settled(settings)
            made = [objects.of_stored(each) for each in await store.inventory(settled)]
        except S3Error as error:
            self._warn(f"Snapshots in S3 cannot be listed: {error}")
            return None
        self._warn("")
        return objects.store_of(settled), {name_of(each): each for each in made}

    def _warn(self, words: str) -> None:
        """Tell once what is met at every interval."""
        if words and words != self._warned:
            log.warning("%s", words)
        self._warned = words

    async def _stamp(self, node: str, *names: str) -> bool:
        notes = dict.fromkeys(names, now_seconds())
        try:
            await self._client.patch(NODES, node, {"metadata": {"annotations": notes}})
        except KubeError as error:
            if error.status != 404:
                raise
            return False
        return True

    async def _wanted(self) -> dict[str, Object]:
        snapshots = await self._snapshots.inventory()
        token, _ = await asyncio.to_thread(record.fingerprints, self._snapshots.paths)
        made = (objects.of_file(each, self._snapshots.node, token) for each in snapshots)
        return {name_of(each): each for each in made}

    async def _do(self, todo: ObjectPlan) -> None:
        for each in todo.delete:
            log.info("Deleting ETCDSnapshotFile for %s", each["spec"]["snapshotName"])
            await self._client.delete(ETCD_SNAPSHOT_FILES, name_of(each), uid=metadata(each)["uid"])
        for each in todo.update:
            await self._with_status(each, await self._client.update(ETCD_SNAPSHOT_FILES, each))
        for each in todo.create:
            await self._create(each)

    async def _create(self, wanted: Object) -> None:
        spec = wanted["spec"]
        log.info("Creating ETCDSnapshotFile for %s", spec["snapshotName"])
        try:
            made = await self._with_status(wanted, await self._client.create(ETCD_SNAPSHOT_FILES, wanted))
        except KubeError as error:
            if error.reason != "AlreadyExists":  # another server has listed the same store
                raise
            return
        message = f"Snapshot {spec['snapshotName']} saved on {spec['nodeName']}"
        self._events.emit(made, "Normal", "ETCDSnapshotCreated", message)

    async def _with_status(self, wanted: Object, stored: Object) -> Object:
        """See that the status was stored, too.

        In a cluster that an earlier release was the first server of, the kind has a status subresource, and keeps it:
        what else is written drops the status then.
        """
        if stored.get("status") == wanted["status"]:
            return stored
        patch = {"status": wanted["status"]}
        return await self._client.patch(ETCD_SNAPSHOT_FILES, name_of(stored), patch, subresource="status")

    async def _tell_failures(self) -> None:
        """What failed has no file to be found by: it is told once, and taken off the list when that is done."""
        local, stored = self._snapshots, self._snapshots.copies
        for failures in (local.failed, stored.failed):
            while failures:
                await self._tell_failed(failures[0])
                failures.popleft()
        for reason, kind, told in (
            ("ETCDSnapshotRetentionFailedLocal", "local", local.retention_failures),
            ("ETCDSnapshotRetentionFailedS3", "S3", stored.retention_failures),
        ):
            while told:
                await self._tell_node(reason, f"Failed to apply {kind} snapshot retention policy: {told[0]}")
                told.popleft()

    async def _tell_node(self, reason: str, message: str) -> None:
        node = await self._client.get(NODES, self._snapshots.node)
        # Events of nodes have the name as uid, as those of the kubelet.
        about = {**node, "metadata": {**metadata(node), "uid": name_of(node)}}
        self._events.emit(about, "Warning", reason, message)

    async def _tell_verdicts(self) -> None:
        """An event on the object of each snapshot that a drill was made with."""
        verdicts, node = self._snapshots.verdicts, self._snapshots.node
        while verdicts:
            snapshot, verdict = verdicts[0]
            name = objects.object_name(snapshot.name, node, snapshot.location, snapshot.taken)
            try:
                self._tell_verdict(await self._client.get(ETCD_SNAPSHOT_FILES, name), verdict)
            except KubeError as error:
                if error.status != 404:  # removed meanwhile
                    raise
            verdicts.popleft()

    def _tell_verdict(self, about: Object, verdict: record.DrillVerdict) -> None:
        where = f"Snapshot {verdict.name} on {self._snapshots.node}"
        if verdict.failure:
            message = f"{where} does not restore: {verdict.failure}"
            self._events.emit(about, "Warning", "ETCDSnapshotVerifyFailed", message)
            return
        message = f"{where} restores: {verdict.keys} keys, {verdict.decrypted} Secrets decrypted"
        self._events.emit(about, "Normal", "ETCDSnapshotVerified", message)

    async def _tell_failed(self, failed: Failed) -> None:
        node = S3 if failed.store else self._snapshots.node
        wanted = objects.of_failure(failed, node)
        try:
            made = await self._with_status(wanted, await self._client.create(ETCD_SNAPSHOT_FILES, wanted))
        except KubeError as error:
            if error.reason != "AlreadyExists":
                raise
            made = await self._client.get(ETCD_SNAPSHOT_FILES, name_of(wanted))
        message = f"Failed to save snapshot {failed.name} on {node}: {failed.reason}"
        self._events.emit(made, "Warning", "ETCDSnapshotFailed", message)

    async def _remove_of_others(self) -> None:
        """Remove the objects of servers that are no members any more: nobody else would."""
        page = await self._client.list(NODES, label_selector=f"{ETCD_ROLE}=true", metadata_only=True)
        members = [*(name_of(each) for each in page.items), self._snapshots.node]
        for each in await self._without(members):
            log.info("Deleting ETCDSnapshotFile %s of a node that has left", name_of(each))
            await self._client.delete(ETCD_SNAPSHOT_FILES, name_of(each), uid=metadata(each)["uid"])

    async def _without(self, members: Collection[str]) -> list[Object]:
        known = ",".join(sorted({S3, *members}))
        selector = f"{STORAGE_NODE},{STORAGE_NODE} notin ({known})"
        page = await self._client.list(ETCD_SNAPSHOT_FILES, label_selector=selector, metadata_only=True)
        return [each for each in page.items if not metadata(each).get("deletionTimestamp")]
