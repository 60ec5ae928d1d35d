"""Objects of snapshots in the real API server: after the files, and for Rancher in the ConfigMap."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from rke2.addons.crds import ensure_crds
from rke2.config.model import NodeConfig, SnapshotSettings
from rke2.etcd.client import EtcdClient
from rke2.kube.client import Client, PatchType
from rke2.kube.objects import Object, annotations_of
from rke2.kube.resources import CONFIG_MAPS, CRDS, ETCD_SNAPSHOT_FILES, EVENTS, NODES
from rke2.snapshots import record
from rke2.snapshots.configmap import NAME, NAMESPACE, SnapshotConfigMap
from rke2.snapshots.failures import Failed
from rke2.snapshots.reconciling import TIMESTAMP, SnapshotFiles
from rke2.snapshots.taking import Snapshots

from .waiting import eventually

pytestmark = pytest.mark.content

Objects = dict[str, Object]


async def nothing() -> Mapping[str, str]:
    return {}


def put(directory: Path, name: str, extra: Mapping[str, str] | None = None) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(b"data")
    record.write(directory / name, record.Record(node="node1", taken=1, version="v"), extra or {})
    return directory / name


@pytest.fixture
async def snapshots(client: Client, config: NodeConfig) -> AsyncIterator[Snapshots]:
    """Those of node1, kept in step every second, with a leader at work."""
    await ensure_crds(client)
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1"}}
    node["metadata"]["labels"] = {"node-role.kubernetes.io/etcd": "true"}  # type: ignore[index]
    await client.create(NODES, node)
    assert config.server
    server = replace(config.server, snapshots=SnapshotSettings(reconcile_interval=1.0))
    made = Snapshots(replace(config, server=server), cast("EtcdClient", None), nothing)
    work = (SnapshotFiles(client, made).run(), SnapshotConfigMap(client, "node1").run())
    tasks = [asyncio.create_task(each) for each in work]
    yield made
    for path in made.directory.glob("*"):
        path.unlink()
    made.changed.set()
    await eventually(lambda: _none(client), "all objects are gone")
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _none(client: Client) -> bool:
    for each in (await client.list(ETCD_SNAPSHOT_FILES)).items:
        if (each["status"].get("error")) is not None:
            await client.delete(ETCD_SNAPSHOT_FILES, each["metadata"]["name"])
    return not (await client.list(ETCD_SNAPSHOT_FILES)).items


async def by_snapshot(client: Client) -> Objects:
    page = await client.list(ETCD_SNAPSHOT_FILES)
    return {each["spec"]["snapshotName"]: each for each in page.items}


async def reasons(client: Client) -> set[tuple[str, str]]:
    return {(each["reason"], each["message"]) for each in (await client.list(EVENTS)).items}


async def test_objects_follow_files_that_appear_and_vanish(client: Client, snapshots: Snapshots) -> None:
    path = put(snapshots.directory, "etcd-snapshot-node1-1700000000")

    async def there() -> bool:
        return path.name in await by_snapshot(client)

    await eventually(there, "the object is there")
    made = (await by_snapshot(client))[path.name]
    assert made["status"] == {"readyToUse": True, "creationTime": "2023-11-14T22:13:20Z", "size": "4"}
    node = await client.get(NODES, "node1")
    assert annotations_of(node)[TIMESTAMP]
    created = ("ETCDSnapshotCreated", f"Snapshot {path.name} saved on node1")

    async def told(what: tuple[str, str]) -> bool:
        return what in await reasons(client)

    await eventually(lambda: told(created), "its event")
    path.unlink()

    async def gone() -> bool:
        return path.name not in await by_snapshot(client)

    await eventually(gone, "the object is gone")
    await eventually(
        lambda: told(("ETCDSnapshotDeleted", f"Snapshot {path.name} deleted")), "the event of the end"
    )


async def test_what_has_metadata_stands_in_the_config_map(client: Client, snapshots: Snapshots) -> None:
    plain = put(snapshots.directory, "plain-node1-1")
    marked = put(snapshots.directory, "marked-node1-2", {"why": "test"})

    async def keys() -> set[str]:
        found = await client.find(CONFIG_MAPS, NAME, NAMESPACE)
        return set((found or {}).get("data") or {})

    async def exactly(*wanted: str) -> bool:
        return await keys() == set(wanted)

    await eventually(lambda: exactly(f"local-{marked.name}"), "the entry")
    found = await client.get(CONFIG_MAPS, NAME, NAMESPACE)
    assert json.loads(found["data"][f"local-{marked.name}"])["location"] == f"file://{marked}"
    marked.unlink()
    await eventually(exactly, "no entry")
    assert plain.name in await by_snapshot(client)


async def test_a_failure_and_nodes_that_left(client: Client, snapshots: Snapshots) -> None:
    left = {
        "apiVersion": "k3s.cattle.io/v1",
        "kind": "ETCDSnapshotFile",
        "metadata": {"name": "left", "labels": {"etcd.rke2.cattle.io/snapshot-storage-node": "node9"}},
        "spec": {"snapshotName": "left", "nodeName": "node9", "location": "file:///left"},
    }
    in_s3 = {
        **left,
        "metadata": {"name": "kept", "labels": {"etcd.rke2.cattle.io/snapshot-storage-node": "s3"}},
    }
    await client.create(ETCD_SNAPSHOT_FILES, left)
    await client.create(ETCD_SNAPSHOT_FILES, in_s3)
    snapshots.failed.append(Failed("etcd-snapshot-node1-5", 5_000_000_000, "no space"))
    snapshots.retention_failures.append("read-only")
    snapshots.changed.set()

    async def settled() -> bool:
        names = {each["metadata"]["name"] for each in (await client.list(ETCD_SNAPSHOT_FILES)).items}
        return "left" not in names and len(names) == 2

    await eventually(settled, "objects of those that left are gone")
    failed = (await by_snapshot(client))["etcd-snapshot-node1-5"]
    assert failed["status"]["error"]["message"] == "no space"

    async def told() -> bool:
        found = {reason for reason, _ in await reasons(client)}
        return {"ETCDSnapshotFailed", "ETCDSnapshotRetentionFailedLocal"} <= found

    await eventually(told, "the events")
    assert not snapshots.failed and not snapshots.retention_failures
    await client.delete(ETCD_SNAPSHOT_FILES, "kept")


async def test_the_status_is_stored_where_the_kind_has_a_subresource_for_it(
    client: Client, snapshots: Snapshots
) -> None:
    name, path = "etcdsnapshotfiles.k3s.cattle.io", "/spec/versions/0/subresources"
    versions = [{"op": "add", "path": path, "value": {"status": {}}}]
    await client.patch(CRDS, name, versions, PatchType.JSON)
    first = put(snapshots.directory, "etcd-snapshot-node1-1700000000")

    async def dropped() -> bool:
        """Whether the API server has taken the definition over: what an update says of the status does not count."""
        live = (await by_snapshot(client))[first.name]
        stored = await client.update(ETCD_SNAPSHOT_FILES, {**live, "status": {"readyToUse": False}})
        return bool((stored.get("status") or {}).get("readyToUse", True))

    async def right(file: Path) -> bool:
        return bool((await by_snapshot(client))[file.name].get("status", {}).get("readyToUse"))

    try:
        await eventually(lambda: _is_there(client, first.name), "the object")
        await eventually(dropped, "the subresource is served")
        second = put(snapshots.directory, "etcd-snapshot-node1-1700000001")
        await eventually(lambda: _is_there(client, second.name), "the other object")
        await eventually(lambda: right(second), "its status")
    finally:
        await client.patch(CRDS, name, [{"op": "remove", "path": path}], PatchType.JSON)


async def _is_there(client: Client, file: str) -> bool:
    return file in await by_snapshot(client)
