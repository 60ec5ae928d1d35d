"""Nodes and etcd members together: who leaves with whom, through outages, too."""

from __future__ import annotations

import asyncio
import json
import signal
from dataclasses import replace

import pytest

from rke2.config.model import ComponentSettings, NodeConfig
from rke2.controllers.datastore import NODE_ADDRESS, NODE_NAME, REMOVE, REMOVED_NODE_NAME
from rke2.controllers.member_removal import FINALIZER
from rke2.controllers.table import run_server_controllers
from rke2.kube.apiservers import KEY
from rke2.kube.client import Client, PatchType
from rke2.kube.nodes import ETCD_ROLE
from rke2.kube.objects import Object, annotations_of, labels_of, metadata
from rke2.kube.resources import EVENTS, LEASES, NODES
from tests.control_plane import ControlPlane
from tests.integration.running import running

from .etcd_cluster import EtcdCluster, address, name
from .waiting import eventually

pytestmark = [pytest.mark.root, pytest.mark.content]

OWN = name(1)


async def add_node(client: Client, node: str, *, member: int = 0) -> Object:
    meta: Object = {"name": node}
    if member:
        meta["labels"] = {ETCD_ROLE: "true"}
        meta["annotations"] = {NODE_NAME: name(member), NODE_ADDRESS: address(member)}
    return await client.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": meta})


async def guarded(client: Client, *nodes: str) -> None:
    async def look() -> bool:
        found = [await client.get(NODES, node) for node in nodes]
        return all(FINALIZER in (metadata(node).get("finalizers") or ()) for node in found)

    await eventually(look, f"finalizer on {nodes}")


async def gone(client: Client, node: str) -> None:
    async def look() -> bool:
        return await client.find(NODES, node) is None

    await eventually(look, f"Node {node} is gone")


async def annotated(client: Client, node: str, wanted: dict[str, str | None]) -> None:
    async def look() -> bool:
        notes = annotations_of(await client.get(NODES, node))
        return {key: notes.get(key) for key in wanted} == wanted

    await eventually(look, f"{node} has {wanted}")


async def members_are(etcd: EtcdCluster, *numbers: int) -> None:
    async def look() -> bool:
        return await etcd.names() == [name(number) for number in numbers]

    await eventually(look, f"members {numbers}")


async def condition(client: Client, node: str) -> Object | None:
    status = (await client.get(NODES, node)).get("status") or {}
    return next((c for c in status.get("conditions") or () if c["type"] == "EtcdIsVoter"), None)


async def voter_reason(client: Client, reason: str) -> None:
    async def look() -> bool:
        found = await condition(client, "node1")
        return found is not None and found["reason"] == reason

    await eventually(look, f"EtcdIsVoter {reason}")


async def test_members_leave_with_their_nodes(client: Client, config: NodeConfig, three: EtcdCluster) -> None:
    await add_node(client, "node1")
    await add_node(client, "node2", member=2)
    await add_node(client, "agent1")
    await members_are(three, 1, 2, 3)
    async with running(run_server_controllers(client, config, three, OWN)):
        await guarded(client, "node1", "node2", "agent1")
        for lease in ("rke2", "rke2-etcd"):
            held = await client.get(LEASES, lease, "kube-system")
            assert held["spec"]["holderIdentity"] == "node1"
        await client.delete(NODES, "agent1")
        await gone(client, "agent1")
        await members_are(three, 1, 2, 3)
        await client.delete(NODES, "node2")
        await gone(client, "node2")
        assert await three.names() == [name(1), name(3)], "the finalizer went after the member only"


async def test_the_own_node_tells_of_its_member(
    client: Client, config: NodeConfig, alone: EtcdCluster
) -> None:
    await members_are(alone, 1)
    async with running(run_server_controllers(client, config, alone, OWN)):
        await add_node(client, "node1")
        await annotated(client, "node1", {NODE_NAME: OWN, NODE_ADDRESS: "127.0.1.1"})
        await voter_reason(client, "MemberNotLearner")
        found = await client.get(NODES, "node1")
        assert labels_of(found)[ETCD_ROLE] == "true"
        await client.patch(NODES, "node1", {"metadata": {"labels": {ETCD_ROLE: None}}})
        await eventually(lambda: _label(client), "the role label is back after it was taken away")
    without = replace(config, components={"etcd": ComponentSettings(disabled=True)})
    ready = {"type": "Ready", "status": "True"}
    await client.patch(
        NODES, "node1", {"status": {"conditions": [ready]}}, PatchType.STRATEGIC, subresource="status"
    )
    async with running(run_server_controllers(client, without, alone, "")):
        await annotated(client, "node1", {NODE_NAME: None, NODE_ADDRESS: None})

        async def condition_gone() -> bool:
            return await condition(client, "node1") is None

        await eventually(condition_gone, "no condition without etcd")
        left = await client.get(NODES, "node1")
        assert ETCD_ROLE not in labels_of(left)
        assert [c["type"] for c in left["status"]["conditions"]] == ["Ready"]


async def test_the_leader_tells_of_members_whose_server_does_not(
    client: Client, config: NodeConfig, three: EtcdCluster
) -> None:
    """As a server of RKE2: another leader of it would write the condition for it."""
    await add_node(client, "node1")
    await add_node(client, "node2", member=2)
    old = {
        "type": "EtcdIsVoter",
        "status": "False",
        "reason": "MemberIsLearner",
        "lastHeartbeatTime": "2026-01-01T00:00:00Z",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    await client.patch(
        NODES, "node2", {"status": {"conditions": [old]}}, PatchType.STRATEGIC, subresource="status"
    )
    async with running(run_server_controllers(client, config, three, OWN)):

        async def told() -> bool:
            found = await condition(client, "node2")
            return found is not None and found["reason"] == "MemberNotLearner"

        await eventually(told, "node2 is a voter")


async def _label(client: Client) -> str | None:
    return labels_of(await client.get(NODES, "node1")).get(ETCD_ROLE)


async def test_removal_by_annotation_and_the_way_back(
    client: Client, config: NodeConfig, three: EtcdCluster
) -> None:
    await add_node(client, "node1")
    await add_node(client, "node3", member=3)
    await members_are(three, 1, 2, 3)
    async with running(run_server_controllers(client, config, three, OWN)):
        await guarded(client, "node3")
        await client.patch(NODES, "node3", {"metadata": {"annotations": {REMOVE: "true"}}})
        removed = {REMOVED_NODE_NAME: name(3), NODE_NAME: None, NODE_ADDRESS: None, REMOVE: "true"}
        await annotated(client, "node3", removed)
        await members_are(three, 1, 2)
        back = {NODE_NAME: "node3-abcdef01", NODE_ADDRESS: address(3)}
        await client.patch(NODES, "node3", {"metadata": {"annotations": back}})
        await annotated(client, "node3", {**back, REMOVE: None, REMOVED_NODE_NAME: None})


async def test_a_server_removed_by_another_one_takes_its_control_plane_away(
    client: Client, config: NodeConfig, three: EtcdCluster
) -> None:
    await add_node(client, "node1")
    await members_are(three, 1, 2, 3)
    async with running(run_server_controllers(client, config, three, OWN)):
        await annotated(client, "node1", {NODE_NAME: OWN, NODE_ADDRESS: address(1)})
        await client.patch(NODES, "node1", {"metadata": {"annotations": {REMOVE: "true"}}})
        await annotated(client, "node1", {REMOVED_NODE_NAME: OWN, NODE_NAME: None})

        async def only_proxy() -> bool:
            return [p.name for p in config.paths.pod_manifests.iterdir()] == ["kube-proxy.yaml"]

        await eventually(only_proxy, "control plane taken away")
        assert await three.names() == [name(2), name(3)]


async def test_the_last_voter_stays(client: Client, config: NodeConfig, alone: EtcdCluster) -> None:
    await add_node(client, "node1")
    await members_are(alone, 1)
    async with running(run_server_controllers(client, config, alone, OWN)):
        await guarded(client, "node1")
        await annotated(client, "node1", {NODE_NAME: OWN})
        await client.patch(NODES, "node1", {"metadata": {"annotations": {REMOVE: "true"}}})
        await annotated(client, "node1", {REMOVE: None, NODE_NAME: OWN, REMOVED_NODE_NAME: None})

        async def warned() -> bool:
            selector = "involvedObject.name=node1,reason=EtcdMemberRemovalRefused"
            return bool((await client.list(EVENTS, "default", field_selector=selector)).items)

        await eventually(warned, "a warning on the Node")
        await client.delete(NODES, "node1")
        await gone(client, "node1")
    assert await alone.names() == [OWN]
    assert config.paths.pod_manifest("etcd").exists()
    assert config.paths.pod_manifest("kube-apiserver").exists()


async def test_outages_of_both_stores_end_nothing(
    cluster: ControlPlane, client: Client, config: NodeConfig, three: EtcdCluster
) -> None:
    await add_node(client, "node1")
    await add_node(client, "node2", member=2)
    await members_are(three, 1, 2, 3)
    async with running(run_server_controllers(client, config, three, OWN)):
        await guarded(client, "node2")
        three.away = True
        await client.delete(NODES, "node2")
        await asyncio.sleep(1)
        assert await client.find(NODES, "node2"), "the deletion waits for the member"
        cluster.stop("kube-apiserver", signal.SIGKILL)
        await asyncio.sleep(1)
        three.away = False
        cluster.restart("kube-apiserver")
        await gone(client, "node2")
        await members_are(three, 1, 3)


async def test_api_addresses_reach_etcd(client: Client, config: NodeConfig, alone: EtcdCluster) -> None:
    await members_are(alone, 1)
    async with running(run_server_controllers(client, config, alone, OWN)):

        async def written() -> bool:
            found = await alone.get(KEY)
            return found is not None and json.loads(found.value) == ["192.0.2.1:6443"]

        await eventually(written, "the API server's address in etcd")
