"""A node and its requests on the real API server; what the host does is told by the test."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from rke2.errors import HostError
from rke2.kube.client import Client
from rke2.kube.resources import NODES
from rke2.rollout.names import ANSWER, REQUEST
from rke2.rollout.node_request import UpgradeAnswer, UpgradeRequest, as_text, read_answer
from rke2.rollout.node_side import NodeUpgrades
from tests.integration.controllers.waiting import eventually
from tests.integration.running import running

from .nodes import NEW, OLD, add_node

pytestmark = [pytest.mark.root, pytest.mark.content]


@dataclass(frozen=True)
class Entry:
    version: str
    step: str
    reason: str = ""
    since: float = 0.0


@dataclass
class Host:
    """What outlives the process of a node."""

    journal: Entry | None = None
    refusal: str = ""
    begun: list[UpgradeRequest] = field(default_factory=list)

    async def begin(self, request: UpgradeRequest) -> None:
        self.begun.append(request)
        if self.refusal:
            raise HostError(self.refusal)
        self.journal = Entry(request.version, "staged" if request.stage else "switching")

    def process(self, client: Client, release: str) -> NodeUpgrades:
        return NodeUpgrades(client, "node1", self.begin, lambda: self.journal, release)


async def ask(client: Client, **request: object) -> None:
    asked = UpgradeRequest(NEW, "system-upgrade/p", **request)  # type: ignore[arg-type]
    await client.patch(NODES, "node1", {"metadata": {"annotations": {REQUEST: as_text(asked)}}})


async def until(client: Client, step: str, digest: str = "h") -> UpgradeAnswer:
    async def look() -> UpgradeAnswer | None:
        answer = read_answer(await client.get(NODES, "node1"))
        return answer if answer and (answer.step, answer.hash) == (step, digest) else None

    return await eventually(look, f"the answer {step}")


async def test_a_node_stages_switches_and_tells_of_it_after_its_restart(client: Client) -> None:
    await add_node(client, "node1")
    host = Host()
    async with running(host.process(client, OLD).run(lambda: None)):
        await ask(client, hash="h", stage=True)
        await until(client, "staged")
        await ask(client, hash="h")
        await until(client, "switching")
    assert [request.stage for request in host.begun] == [True, False]
    host.journal = Entry(NEW, "proving")
    async with running(host.process(client, NEW).run(lambda: None)):
        await until(client, "proving")
        host.journal = Entry(NEW, "done")
        answer = await until(client, "done")
    assert (answer.version, answer.reason) == (NEW, "")
    assert len(host.begun) == 2


async def test_a_refusal_is_told_once_and_tried_again_when_the_answer_is_removed(client: Client) -> None:
    await add_node(client, "node1")
    host = Host(refusal="the disk has 1 GiB left, 4 are needed")
    async with running(host.process(client, OLD).run(lambda: None)):
        await ask(client, hash="h")
        assert (await until(client, "failed")).reason == host.refusal
        # Anything that changes has the node look again.
        await client.patch(NODES, "node1", {"metadata": {"labels": {"a": "b"}}})
        await client.patch(NODES, "node1", {"metadata": {"labels": {"a": "c"}}})
        host.refusal = ""
        await client.patch(NODES, "node1", {"metadata": {"annotations": {ANSWER: None}}})
        await until(client, "switching")
    assert len(host.begun) == 2
