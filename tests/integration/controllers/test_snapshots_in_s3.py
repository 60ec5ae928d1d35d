"""Snapshots in a real object store, whose settings are in a Secret of a real API server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from rke2.addons.crds import ensure_crds
from rke2.config.model import NodeConfig, S3Settings, SnapshotSettings
from rke2.etcd.client import EtcdClient
from rke2.kube.client import Client
from rke2.kube.objects import Object, annotations_of
from rke2.kube.resources import CONFIG_MAPS, ETCD_SNAPSHOT_FILES, NODES, SECRETS
from rke2.snapshots import record
from rke2.snapshots.configmap import NAME, NAMESPACE, SnapshotConfigMap
from rke2.snapshots.reconciling import S3_TIMESTAMP, SnapshotFiles
from rke2.snapshots.taking import Snapshots
from tests.control_plane import ControlPlane
from tests.objectstore.gateway import ACCESS, BUCKET, SECRET, Gateway, gateway

from .waiting import eventually

pytestmark = pytest.mark.content

SETTINGS = S3Settings(config_secret="s3", retention=3)


@pytest.fixture
def store(cluster: ControlPlane, tmp_path: Path) -> Iterator[Gateway]:
    """The store, in the network of the API server."""
    with cluster.isolated.entered(), gateway(tmp_path / "s3") as running:
        yield running


async def nothing() -> Mapping[str, str]:
    return {}


@pytest.fixture
async def snapshots(
    cluster: ControlPlane,
    store: Gateway,
    client: Client,
    config: NodeConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Snapshots]:
    """Those of node1, kept in step every second; S3 is configured by the name of a Secret."""
    monkeypatch.setattr("rke2.snapshots.reconciling.SETTLING", timedelta())
    config.paths.cred.mkdir(parents=True)
    shutil.copy(cluster.kubeconfig, config.paths.cred / "supervisor.kubeconfig")
    await ensure_crds(client)
    labels = {"node-role.kubernetes.io/etcd": "true"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1", "labels": labels}}
    await client.create(NODES, node)
    assert config.server
    server = replace(config.server, snapshots=SnapshotSettings(reconcile_interval=1.0, s3=SETTINGS))
    made = Snapshots(replace(config, server=server), cast("EtcdClient", None), nothing)
    work = (SnapshotFiles(client, made).run(), SnapshotConfigMap(client, "node1").run())
    tasks = [asyncio.create_task(each) for each in work]
    yield made
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def secret(client: Client, store: Gateway) -> None:
    """The settings in a Secret, the CA in a ConfigMap that it names."""
    meta = {"namespace": "kube-system"}
    bundle = Path(store.settings.endpoint_ca).read_text()
    authority = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "ca", **meta},
        "data": {"a": bundle},
    }
    await client.create(CONFIG_MAPS, authority)
    data = {
        "etcd-s3-endpoint": store.settings.endpoint,
        "etcd-s3-endpoint-ca-name": "ca",
        "etcd-s3-access-key": ACCESS,
        "etcd-s3-secret-key": SECRET,
        "etcd-s3-bucket": BUCKET,
        "etcd-s3-folder": "f",
    }
    made = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3", **meta}, "stringData": data}
    await client.create(SECRETS, made)


async def in_s3(client: Client) -> list[Object]:
    return [each for each in (await client.list(ETCD_SNAPSHOT_FILES)).items if each["spec"].get("s3")]


async def test_the_cluster_knows_of_snapshots_in_s3(
    client: Client, snapshots: Snapshots, store: Gateway
) -> None:
    path = snapshots.directory / "etcd-snapshot-node1-1700000000"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"data")
    record.write(path, record.Record(node="node1", taken=1700000000, version="v"), {"why": "test"})
    answer = await snapshots.copies.after_save(SETTINGS, path, "etcd-snapshot")
    assert answer.errors and 'etcd-s3-config-secret "s3"' in answer.errors[0]
    await secret(client, store)
    answer = await snapshots.copies.after_save(SETTINGS, path, "etcd-snapshot")
    assert answer.created == [path.name] and not answer.errors
    snapshots.changed.set()

    async def there() -> bool:
        return len(await in_s3(client)) == 1

    await eventually(there, "the object")
    (made,) = await in_s3(client)
    assert made["metadata"]["labels"] == {"etcd.rke2.cattle.io/snapshot-storage-node": "s3"}
    assert made["spec"]["location"] == f"s3://{BUCKET}/f/{path.name}"
    assert made["spec"]["nodeName"] == "node1" and made["spec"]["metadata"] == {"why": "test"}
    assert made["spec"]["s3"]["prefix"] == "f" and SECRET not in json.dumps(made)

    async def stamped() -> bool:
        return S3_TIMESTAMP in annotations_of(await client.get(NODES, "node1"))

    await eventually(stamped, "the node's time stamp")

    async def entered() -> bool:
        found = await client.find(CONFIG_MAPS, NAME, NAMESPACE)
        return f"s3-{path.name}" in ((found or {}).get("data") or {})

    await eventually(entered, "the entry in the ConfigMap")
    # Behind rke2's back.
    (store.root / BUCKET / "f" / path.name).unlink()

    async def gone() -> bool:
        return await in_s3(client) == [] and not await entered()

    await eventually(gone, "object and entry are gone")
