"""Drains against the real eviction API, with the real disruption and ReplicaSet controllers."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from rke2.errors import KubeError
from rke2.kube.client import Client
from rke2.kube.objects import GVK, Object, name_of
from rke2.kube.resources import PODS, Resource
from rke2.rollout.drain import DrainError, drain
from rke2.rollout.plan import DrainSpec
from tests.integration.controllers.waiting import eventually
from tests.integration.running import running

from .nodes import add_node

pytestmark = [pytest.mark.root, pytest.mark.content]

REPLICA_SETS = Resource(GVK("apps", "v1", "ReplicaSet"), "replicasets")
BUDGETS = Resource(GVK("policy", "v1", "PodDisruptionBudget"), "poddisruptionbudgets")
APP = {"app": "web"}
POD = {"containers": [{"name": "c", "image": "i"}], "volumes": [{"name": "v", "emptyDir": {}}]}


async def pods(client: Client, node: str | None = None) -> list[Object]:
    """The pods of the application, all or those of a node; with an empty name those without one."""
    found = (await client.list(PODS, "default", label_selector="app=web")).items
    return [pod for pod in found if node is None or pod["spec"].get("nodeName", "") == node]


async def run_on(client: Client, pod: Object, node: str) -> None:
    """Bind it, and say that it is Ready, as scheduler and kubelet would."""
    target = {"apiVersion": "v1", "kind": "Node", "name": node}
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name_of(pod)}, "target": target}
    await client.request("POST", PODS.path("default", name_of(pod), "binding"), body=binding)
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    await client.patch(PODS, name_of(pod), {"status": ready}, namespace="default", subresource="status")


async def application(client: Client, node: str, replicas: int) -> None:
    """Pods of a ReplicaSet on `node`, of which one may be away at a time."""

    async def account() -> bool:
        await client.request("GET", "/api/v1/namespaces/default/serviceaccounts/default")
        return True

    await eventually(account, "the default ServiceAccount")
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": APP},
        "template": {"metadata": {"labels": APP}, "spec": POD},
    }
    meta = {"name": "web", "namespace": "default"}
    await client.create(
        REPLICA_SETS, {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta, "spec": spec}
    )
    budget = {"minAvailable": replicas - 1, "selector": {"matchLabels": APP}}
    await client.create(
        BUDGETS, {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta, "spec": budget}
    )

    async def made() -> list[Object] | None:
        found = await pods(client)
        return found if len(found) == replicas else None

    for pod in await eventually(made, "the pods"):
        await run_on(client, pod, node)

    async def allowed() -> bool:
        status = (await client.get(BUDGETS, "web", "default")).get("status") or {}
        return bool(status.get("disruptionsAllowed") == 1)

    await eventually(allowed, "the budget to count them")


async def gone(client: Client) -> None:
    await client.delete(BUDGETS, "web", "default")
    await client.delete(REPLICA_SETS, "web", "default")
    for pod in await pods(client):
        # The garbage collector removes them, too.
        with suppress(KubeError):
            options = {"gracePeriodSeconds": 0}
            await client.request("DELETE", PODS.path("default", name_of(pod)), body=options)

    async def none() -> bool:
        return not await pods(client)

    await eventually(none, "no pod is left")


async def test_a_budget_is_kept_and_the_drain_ends_when_it_allows(client: Client) -> None:
    await add_node(client, "full")
    await add_node(client, "empty")
    await application(client, "full", 3)
    least = 3

    async def scheduler() -> None:
        nonlocal least
        while True:
            found = [pod for pod in await pods(client) if pod["spec"].get("nodeName")]
            least = min(least, len(found))
            # Slowly: between two pods the budget has to refuse.
            await asyncio.sleep(1)
            for pod in await pods(client, ""):
                await run_on(client, pod, "empty")

    async with running(scheduler()):
        await drain(client, "full", DrainSpec(grace_period=0), 120)
    assert await pods(client, "full") == []
    assert least >= 2
    await gone(client)


async def test_a_budget_that_never_allows_is_told_when_the_time_is_over(client: Client) -> None:
    await add_node(client, "full")
    await application(client, "full", 1)
    await client.patch(BUDGETS, "web", {"spec": {"minAvailable": 1}}, namespace="default")

    async def refused() -> bool:
        status = (await client.get(BUDGETS, "web", "default"))["status"]
        return bool(status.get("disruptionsAllowed") == 0)

    await eventually(refused, "the budget to allow nothing")
    with pytest.raises(
        DrainError, match=r"drain did not complete within 3 s: pod default/web-.*disruption budget"
    ):
        await drain(client, "full", DrainSpec(timeout="3s"), 120)
    assert len(await pods(client, "full")) == 1
    await drain(client, "full", DrainSpec(disable_eviction=True, grace_period=0), 20)
    assert await pods(client, "full") == []
    await gone(client)


async def test_what_nobody_would_start_again_is_not_ended(client: Client) -> None:
    await add_node(client, "full")
    await application(client, "full", 1)
    meta = {"name": "alone", "namespace": "default"}
    spec = {**POD, "nodeName": "full"}
    await client.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    with pytest.raises(DrainError, match="cannot drain: pod default/alone: nobody would start it again"):
        await drain(client, "full", DrainSpec(), 20)
    assert len(await pods(client, "full")) == 1
    await drain(client, "full", DrainSpec(force=True, grace_period=0), 20)
    found = await client.list(PODS, "default", field_selector="spec.nodeName=full")
    assert found.items == []
    await gone(client)
