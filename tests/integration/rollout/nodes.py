"""Nodes without kubelets, and what the program on each of them would answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rke2.errors import KubeError
from rke2.kube.client import Client
from rke2.kube.nodes import CONTROL_PLANE_ROLE
from rke2.kube.objects import Object, name_of
from rke2.kube.resources import NODES, PLANS
from rke2.rollout.names import ANSWER, HOSTNAME, NAMESPACE
from rke2.rollout.node_request import UpgradeAnswer, UpgradeRequest, as_text, read_answer, read_request

OLD, NEW = "v1.36.4+rke2py1", "v1.37.2+rke2py1"
SERVERS = {"matchExpressions": [{"key": CONTROL_PLANE_ROLE, "operator": "In", "values": ["true"]}]}
AGENTS = {"matchExpressions": [{"key": CONTROL_PLANE_ROLE, "operator": "DoesNotExist"}]}
UPGRADE = {"image": "rancher/rke2-upgrade"}


async def add_node(client: Client, name: str, *, server: bool = False) -> None:
    """A Node that is Ready; a server's API server is the one of the test."""
    role = {CONTROL_PLANE_ROLE: "true"} if server else {}
    meta = {"name": name, "labels": {HOSTNAME: name, **role}}
    await client.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": meta})
    status = {
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "nodeInfo": {"kubeletVersion": OLD},
    }
    await client.patch(NODES, name, {"status": status}, subresource="status")


async def add_plan(client: Client, name: str, **spec: object) -> Object:
    return await client.create_custom(
        PLANS,
        {
            "apiVersion": "upgrade.cattle.io/v1",
            "kind": "Plan",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"concurrency": 1, "upgrade": UPGRADE, **spec},
        },
    )


@dataclass
class Programs:
    """Does on every Node what is asked, a step per look.

    Args:
        fails: node -> the step at which it ends instead, and why.
        begun: nodes in the order in which they began to switch.
        most: how many were between switching and done at once, servers and agents.
    """

    client: Client
    fails: dict[str, tuple[str, str]] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    most: dict[str, int] = field(default_factory=lambda: {"server": 0, "agent": 0})

    async def run(self) -> None:
        while True:
            # As a node does: an API server that is slow ends nothing.
            with suppress(KubeError):
                await self._look()
            await asyncio.sleep(0.05)

    async def _look(self) -> None:
        nodes = (await self.client.list(NODES)).items
        await asyncio.gather(*(self._step(node) for node in nodes))
        self._count((await self.client.list(NODES)).items)

    async def _step(self, node: Object) -> None:
        request, answer = read_request(node), read_answer(node)
        if request is None:
            return
        step = answer.step if answer and answer.hash == request.hash else ""
        after = (
            "staged" if request.stage else {"switching": "proving", "proving": "done"}.get(step, "switching")
        )
        if step in (after, "done", "failed", "rolled-back"):
            return
        reason = ""
        if after == "proving" and name_of(node) in self.fails:
            after, reason = self.fails[name_of(node)]
        await self._say(node, request, after, reason)

    async def _say(self, node: Object, request: UpgradeRequest, step: str, reason: str) -> None:
        name = name_of(node)
        if step == "switching":
            self.begun.append(name)
        if step == "done":
            info = {"status": {"nodeInfo": {"kubeletVersion": request.version}}}
            await self.client.patch(NODES, name, info, subresource="status")
        since = datetime.now(UTC).isoformat(timespec="seconds")
        answer = UpgradeAnswer(request.version, request.hash, step, reason, since)
        await self.client.patch(NODES, name, {"metadata": {"annotations": {ANSWER: as_text(answer)}}})

    def _count(self, nodes: list[Object]) -> None:
        for kind in self.most:
            busy = [
                node
                for node in nodes
                if name_of(node).startswith(kind)
                and (answer := read_answer(node))
                and answer.step in ("switching", "proving")
            ]
            self.most[kind] = max(self.most[kind], len(busy))
