"""Nodes and Plans for tests of decisions, and a cluster that does what is decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from rke2.kube.nodes import CONTROL_PLANE_ROLE
from rke2.kube.objects import Key
from rke2.release_version import ReleaseVersion
from rke2.rollout.decide import Deed, NodeDeed, PlanDecision, decide
from rke2.rollout.facts import RolloutFacts, RolloutNode, Turn, turn_of
from rke2.rollout.names import HOSTNAME, plan_label
from rke2.rollout.node_request import UpgradeAnswer, UpgradeRequest
from rke2.rollout.plan import ClusterPlan, ContainerSpec, PlanSpec
from rke2.rollout.selectors import LabelRequirement, LabelSelector

OLD = ReleaseVersion(1, 36, 4)
NEW = ReleaseVersion(1, 37, 2, "rke2py1")
START = datetime(2026, 11, 30, 12, tzinfo=UTC)
SERVERS = LabelSelector(match_expressions=(LabelRequirement(CONTROL_PLANE_ROLE, "In", ("true",)),))
AGENTS = LabelSelector(match_expressions=(LabelRequirement(CONTROL_PLANE_ROLE, "DoesNotExist"),))


def a_node(name: str, *, server: bool = False, running: ReleaseVersion = OLD, **more: Any) -> RolloutNode:
    role = {CONTROL_PLANE_ROLE: "true"} if server else {}
    labels = {HOSTNAME: name, **role, **more.pop("labels", {})}
    return RolloutNode(name, name, f"uid-{name}", labels, server, running=running, **more)


def a_plan(name: str, selector: LabelSelector, *, target: ReleaseVersion = NEW, **spec: Any) -> ClusterPlan:
    applying = spec.pop("applying", ())
    snapshot = spec.pop("snapshot", "")
    spec.setdefault("concurrency", 1)
    image = ContainerSpec("rancher/rke2-upgrade")
    return ClusterPlan(
        key=Key("system-upgrade", name),
        uid=f"uid-{name}",
        spec=PlanSpec(node_selector=selector, upgrade=image, **spec),
        target=target,
        hash=f"hash-{target}",
        applying=applying,
        snapshot=snapshot,
    )


def after(plan: str) -> ContainerSpec:
    return ContainerSpec("rancher/rke2-upgrade", args=("prepare", plan))


def asked(
    node: RolloutNode, plan: ClusterPlan, step: str = "", *, stage: bool = False, **answer: str
) -> RolloutNode:
    """`node` with a request of `plan`, and the answer `step`."""
    since = answer.pop("asked", START.isoformat())
    request = UpgradeRequest(str(plan.target), str(plan.key), plan.hash, stage=stage, since=since)
    said = (
        UpgradeAnswer(str(plan.target), plan.hash, step, since=START.isoformat(), **answer) if step else None
    )
    return replace(node, request=request, answer=said)


def staged(node: RolloutNode, plan: ClusterPlan) -> RolloutNode:
    return asked(node, plan, "staged", stage=True)


class World:
    """A cluster: what is decided is done at once, what nodes do is told by the test."""

    def __init__(self, nodes: Sequence[RolloutNode], plans: Sequence[ClusterPlan]) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.plans = {plan.name: plan for plan in plans}
        self.drained: set[Turn] = set()
        self.now = START
        self.trouble = ""
        self.standing: dict[str, tuple[bool, str, str]] = {}

    def facts(self, trouble: str = "") -> RolloutFacts:
        return RolloutFacts(self.now, frozenset(self.drained), trouble=trouble, snapshots=True)

    def decide(self) -> list[PlanDecision]:
        plans, nodes = list(self.plans.values()), list(self.nodes.values())
        decisions = decide(plans, nodes, self.facts())
        if self.trouble and any(decision.begins_a_server for decision in decisions):
            return decide(plans, nodes, self.facts(self.trouble))
        return decisions

    def look(self, *, deeds: bool = True) -> list[PlanDecision]:
        """Decide and do it; without `deeds` the leader ends after it has written the status."""
        decisions = self.decide()
        for decision in decisions:
            name, standing = decision.plan.name, decision.standing
            self.standing[name] = standing.complete, standing.reason, standing.message
            plan = replace_applying(self.plans[name], decision.applying)
            self.plans[name] = plan
            for each in decision.deeds if deeds else ():
                self.do(plan, each)
            if decision.snapshot and deeds:
                self.plans[name] = _struct_replace(plan, snapshot="before-upgrade")
        return decisions

    def do(self, plan: ClusterPlan, each: NodeDeed) -> None:
        node = self.nodes[each.node.name]
        since = self.now.isoformat()
        if each.deed is Deed.MAKE_WAY:
            node = replace(node, unschedulable=True)
            self.drained.add(turn_of(plan, node))
        elif each.deed is Deed.RELEASE:
            node = replace(node, unschedulable=False)
        elif each.deed is Deed.LABEL:
            node = replace(node, labels={**node.labels, plan_label(plan.name): plan.hash}, request=None)
        else:
            stage = each.deed is Deed.STAGE
            request = UpgradeRequest(str(plan.target), str(plan.key), plan.hash, stage=stage, since=since)
            node = replace(node, request=request)
        self.nodes[node.name] = node

    def says(self, name: str, step: str, reason: str = "") -> None:
        """The node answers; one that is done runs the new release."""
        node = self.nodes[name]
        assert node.request
        answer = UpgradeAnswer(node.request.version, node.request.hash, step, reason, self.now.isoformat())
        running = ReleaseVersion.parse(node.request.version) if step == "done" else node.running
        self.nodes[name] = replace(node, answer=answer, running=running)

    def works(self, name: str) -> None:
        """The node does the next of what it was asked for."""
        node = self.nodes[name]
        if node.request and node.request.stage:
            self.says(name, "staged")
        elif node.busy:
            self.says(name, {"switching": "proving", "proving": "done"}.get(node.step, "switching"))

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @property
    def busy(self) -> list[str]:
        return [name for name, node in self.nodes.items() if node.busy]

    def is_done(self) -> bool:
        return all(complete for complete, *_ in self.standing.values())


def _struct_replace(plan: ClusterPlan, **changes: Any) -> ClusterPlan:
    return msgspec.structs.replace(plan, **changes)


def replace_applying(plan: ClusterPlan, applying: tuple[str, ...]) -> ClusterPlan:
    return _struct_replace(plan, applying=applying)
