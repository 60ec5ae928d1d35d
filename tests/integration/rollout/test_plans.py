"""Plans against the real API server: what it takes, and a cluster that is upgraded to the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rke2.errors import EtcdError, KubeError
from rke2.kube.client import Client
from rke2.kube.objects import Object, annotations_of, labels_of
from rke2.kube.resources import DEPLOYMENTS, EVENTS, NAMESPACES, NODES, PLANS
from rke2.rollout.conditions import condition, is_true
from rke2.rollout.controller import PlanController
from rke2.rollout.names import CONTROLLER, NAMESPACE, REQUEST, SNAPSHOT, plan_label
from tests.control_plane import ControlPlane
from tests.integration.controllers.etcd_cluster import EtcdCluster
from tests.integration.controllers.waiting import eventually
from tests.integration.running import running

from .nodes import AGENTS, NEW, OLD, SERVERS, UPGRADE, Programs, add_node, add_plan

pytestmark = [pytest.mark.root, pytest.mark.content]

PREPARE = {"args": ["prepare", "server-plan"], **UPGRADE}


async def snapshot() -> str:
    return "before-upgrade-node1-1"


@asynccontextmanager
async def leading(client: Client, etcd: EtcdCluster, **fails: tuple[str, str]) -> AsyncIterator[Programs]:
    """A leader, and programs on the nodes."""
    programs = Programs(client, {name.replace("_", "-"): how for name, how in fails.items()})
    controller = PlanController(client, etcd, snapshot, node="node1")
    async with running(controller.run()), running(programs.run()):

        async def namespace() -> Object | None:
            return await client.find(NAMESPACES, NAMESPACE)

        await eventually(namespace, f"namespace {NAMESPACE}")
        yield programs


async def status(client: Client, name: str) -> Object:
    found: Object = (await client.get(PLANS, name, NAMESPACE)).get("status") or {}
    return found


async def until_reason(client: Client, name: str, reason: str) -> Object:
    async def look() -> Object | None:
        found = await status(client, name)
        return found if condition(found, "Complete").get("reason") == reason else None

    return await eventually(look, f"plan {name}: {reason}", 120)


async def events(client: Client, *reasons: str) -> list[str]:
    async def look() -> list[str] | None:
        found = [event["reason"] for event in (await client.list(EVENTS, NAMESPACE)).items]
        return found if set(reasons) <= set(found) else None

    return await eventually(look, f"events {reasons}")


async def test_a_plan_is_carried_out_to_the_end(
    client: Client, cluster: ControlPlane, etcd: EtcdCluster
) -> None:
    for number in range(3):
        await add_node(client, f"server-{number}", server=True)
    for number in range(3):
        await add_node(client, f"agent-{number}")
    async with leading(client, etcd) as programs:
        labels = {"upgraded-to": "$(LATEST_VERSION)"}
        await add_plan(client, "agent-plan", version=NEW, nodeSelector=AGENTS, concurrency=2, prepare=PREPARE)
        await add_plan(
            client,
            "server-plan",
            version=NEW,
            nodeSelector=SERVERS,
            cordon=True,
            concurrency=3,
            postCompleteLabels=labels,
        )
        for name in ("server-plan", "agent-plan"):
            done = await until_reason(client, name, "Complete")
            assert all(is_true(done, kind) for kind in ("Validated", "LatestResolved", "Complete"))
            assert (done["latestVersion"], done["applying"]) == ("v1.37.2-rke2py1", [])
        assert [name[:5] for name in programs.begun] == ["serve"] * 3 + ["agent"] * 3
        assert programs.most == {"server": 1, "agent": 2}
        await events(client, "Validated", "Resolved", "Waiting", "SyncJob", "JobComplete", "Complete")
    done = await status(client, "server-plan")
    server, agent = await client.get(NODES, "server-1"), await client.get(NODES, "agent-1")
    assert labels_of(server)[plan_label("server-plan")] == done["latestHash"]
    assert labels_of(server)["upgraded-to"] == "v1.37.2-rke2py1"
    assert "unschedulable" not in server["spec"]
    assert REQUEST not in annotations_of(server) | annotations_of(agent)
    noted = annotations_of(await client.get(PLANS, "server-plan", NAMESPACE))[SNAPSHOT]
    assert noted == f"{done['latestHash']} before-upgrade-node1-1"
    shown = cluster.kubectl("get", "plans", "-n", NAMESPACE, "server-plan")
    assert shown.split()[:5] == ["NAME", "IMAGE", "CHANNEL", "VERSION", "COMPLETE"]
    assert shown.splitlines()[1].split() == ["server-plan", "rancher/rke2-upgrade", NEW, "True"]


async def test_a_node_that_rolls_back_stops_the_plan_for_the_next_leader_too(
    client: Client, etcd: EtcdCluster
) -> None:
    for number in range(3):
        await add_node(client, f"server-{number}", server=True)
    fails = {f"server_{number}": ("rolled-back", "etcd does not start") for number in range(3)}
    async with leading(client, etcd, **fails) as programs:
        await add_plan(client, "server-plan", version=NEW, nodeSelector=SERVERS, cordon=True)
        failed = await until_reason(client, "server-plan", "JobFailed")
        (node,) = programs.begun
        told = f"Job failed on Node {node}: rolled-back: etcd does not start"
        assert condition(failed, "Complete")["message"] == told
        await events(client, "JobFailed")
    async with leading(client, etcd) as programs:
        await asyncio.sleep(2)
        assert programs.begun == []
        # The operator has seen to it: the node is tried again.
        gone = {"metadata": {"annotations": {REQUEST: None, "rke2.io/upgrade-status": None}}}
        await client.patch(NODES, node, gone)
        await until_reason(client, "server-plan", "Complete")
        assert len(programs.begun) == 3


async def test_servers_wait_for_etcd(
    client: Client, etcd: EtcdCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(endpoint: str, *, timeout: float) -> object:
        raise EtcdError("connection refused")

    await add_node(client, "server-0", server=True)
    with monkeypatch.context() as patched:
        patched.setattr(etcd, "status", away)
        async with leading(client, etcd) as programs:
            await add_plan(client, "server-plan", version=NEW, nodeSelector=SERVERS)

            async def told() -> bool:
                said = condition(await status(client, "server-plan"), "Complete").get("message", "")
                return "does not answer: connection refused" in said

            await eventually(told, "etcd's trouble")
            assert programs.begun == []
            patched.undo()
            await until_reason(client, "server-plan", "Complete")


async def test_what_is_no_upgrade_of_ours_is_refused(client: Client, etcd: EtcdCluster) -> None:
    await add_node(client, "agent-0")
    async with leading(client, etcd):
        await add_plan(client, "other", version="v1", nodeSelector=AGENTS, upgrade={"image": "busybox"})
        found = await until_reason(client, "other", "NotReady")
        assert "spec.upgrade is not an upgrade of RKE2" in condition(found, "Validated")["message"]
        await add_plan(client, "unresolvable", nodeSelector=AGENTS)
        found = await until_reason(client, "unresolvable", "NotReady")
        assert condition(found, "LatestResolved")["reason"] == "Error"
        await events(client, "ValidateFailed", "ResolveFailed")


@pytest.mark.parametrize(
    "spec",
    [{"upgrade": None}, {"upgrade": {}}, {"window": {"days": ["someday"]}}, {"concurrency": "two"}],
    ids=str,
)
async def test_what_the_schema_refuses(client: Client, etcd: EtcdCluster, spec: dict[str, object]) -> None:
    async with leading(client, etcd):
        with pytest.raises(KubeError) as refused:
            await add_plan(client, "wrong", version=OLD, **spec)
    assert refused.value.status == 422 or "failed to create typed" in refused.value.message


async def test_upstreams_controller_goes_before_ours(client: Client, etcd: EtcdCluster) -> None:
    await add_node(client, "agent-0")
    async with leading(client, etcd) as programs:
        labels = {"app": CONTROLLER}
        pod = {"containers": [{"name": "c", "image": f"rancher/{CONTROLLER}:v0.20.0"}]}
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": CONTROLLER, "namespace": NAMESPACE},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }
        await client.create(DEPLOYMENTS, deployment)
        await add_plan(client, "agent-plan", version=NEW, nodeSelector=AGENTS)
        await asyncio.sleep(3)
        assert await status(client, "agent-plan") == {}
        await client.delete(DEPLOYMENTS, CONTROLLER, NAMESPACE)
        await until_reason(client, "agent-plan", "Complete")
        assert programs.begun == ["agent-0"]
