"""The first normal start after a cluster reset, against the real API server."""

from __future__ import annotations

import pytest

from rke2.config.model import NodeConfig
from rke2.controllers.after_reset import after_reset
from rke2.kube.client import Client
from rke2.kube.objects import annotations_of
from rke2.kube.resources import NODES, SECRETS

pytestmark = pytest.mark.content

ETCD = "etcd.rke2.cattle.io"


def node(name: str, **notes: str) -> dict[str, object]:
    labels = {"node-role.kubernetes.io/etcd": "true"}
    annotations = {f"{ETCD}/{key.replace('_', '-')}": value for key, value in notes.items()}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
    }


def secret(name: str) -> dict[str, object]:
    meta = {"name": f"{name}.node-password.rke2", "namespace": "kube-system"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta}


async def test_marks_of_removed_members_and_the_own_node_password_go(
    client: Client, config: NodeConfig
) -> None:
    await client.create(NODES, node("node1", remove="true", node_name="node1-1"))
    await client.create(NODES, node("node2", removed_node_name="node2-1", node_name="node2-1"))
    for name in ("node1", "node2"):
        await client.create(SECRETS, secret(name))
    try:
        await after_reset(client, config)
        assert f"{ETCD}/remove" in annotations_of(await client.get(NODES, "node1")), "no reset has been"
        config.paths.reset_flag.parent.mkdir(parents=True, exist_ok=True)
        config.paths.reset_flag.touch()
        await after_reset(client, config)
        assert not config.paths.reset_flag.exists()
        for name in ("node1", "node2"):
            assert set(annotations_of(await client.get(NODES, name))) == {f"{ETCD}/node-name"}
        assert await client.find(SECRETS, "node1.node-password.rke2", "kube-system") is None
        assert await client.find(SECRETS, "node2.node-password.rke2", "kube-system")
    finally:
        await client.delete(SECRETS, "node2.node-password.rke2", "kube-system")
