"""What a node has to wait for before its turn. Pure; each returns the reason, empty if there is nothing in the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rke2.rollout.facts import RolloutFacts, RolloutNode
from rke2.rollout.names import DISABLED, plan_label
from rke2.rollout.node_request import DONE, PREPARED
from rke2.rollout.plan import ClusterPlan
from rke2.rollout.window import parse_window


@dataclass(frozen=True)
class Others:
    """What a Plan is looked at beside.

    Args:
        plans: all others.
        nodes: all of the cluster.
    """

    plans: tuple[ClusterPlan, ...]
    nodes: Sequence[RolloutNode]

    @property
    def servers(self) -> list[RolloutNode]:
        return [node for node in self.nodes if node.server]


def remaining(plan: ClusterPlan, nodes: Sequence[RolloutNode]) -> list[RolloutNode]:
    """Those of `nodes` that `plan` still has to be applied to."""
    selector = plan.spec.node_selector
    # Without a selector, nothing is selected.
    if selector is None:
        return []
    done = (DISABLED, plan.hash)
    return [
        node
        for node in nodes
        if node.host and selector.matches(node.labels) and node.labels.get(plan_label(plan.name)) not in done
    ]


def may_stage(plan: ClusterPlan, node: RolloutNode, others: Others) -> bool:
    """Whether to ask `node` to stage: it was not asked yet, and by no other Plan that still wants something of it."""
    if node.heard(plan) or node.busy:
        return False
    # Two Plans with different versions would otherwise take turns in asking.
    return not any(node.heard(each) and node in remaining(each, [node]) for each in others.plans)


def untimely(plan: ClusterPlan, others: Others, facts: RolloutFacts) -> str:
    """Why no further node may begin; those at work go on."""
    return _window(plan, facts) or _after(plan, others) or _exclusive(plan, others)


def _window(plan: ClusterPlan, facts: RolloutFacts) -> str:
    """Upstream looks at the window only while no node is at work."""
    window = plan.spec.window
    if window is None:
        return ""
    opened = parse_window(window.days, window.start_time, window.end_time, window.time_zone)
    return "" if opened.contains(facts.now) else "outside of spec.window"


def _after(plan: ClusterPlan, others: Others) -> str:
    """The Plan that ``prepare`` names; upstream waits for the nodes with a label that RKE2 does not write any more."""
    name = plan.spec.after
    if not name:
        return ""
    first = next((each for each in others.plans if each.name == name), None)
    if first is None:
        return f"Plan {name}, which spec.prepare names, does not exist or is not valid"
    if first.target.numbers < plan.target.numbers:
        return f"Plan {name} leads to {first.target} only"
    left = [node.name for node in remaining(first, others.nodes)]
    return f"Plan {name} is not complete: {', '.join(sorted(left))}" if left else ""


def _exclusive(plan: ClusterPlan, others: Others) -> str:
    if not plan.spec.exclusive:
        return ""
    at_work = (each.name for each in others.plans if each.spec.exclusive and each.applying)
    return next((f"exclusive Plan {name} is at work" for name in at_work), "")


def unsafe(
    plan: ClusterPlan, node: RolloutNode, working: Sequence[RolloutNode], others: Others, facts: RolloutFacts
) -> str:
    """Why `node` may not begin now, although it is its turn.

    Args:
        working: the nodes that `plan` is at work on.
    """
    if node.busy:
        return f"Node {node.name} is busy with an upgrade of {node.request.plan if node.request else ''}"
    if not node.ready:
        return f"Node {node.name} is not Ready"
    if elsewhere := _elsewhere(node, others):
        return f"Plan {elsewhere} is at work on Node {node.name}"
    if unstaged := next(_unstaged(plan, others), ""):
        return unstaged
    if node.server:
        return _server(node, working, others, facts)
    return _agent(plan, others)


def _elsewhere(node: RolloutNode, others: Others) -> str:
    return next((each.name for each in others.plans if node.host in each.applying), "")


def _unstaged(plan: ClusterPlan, others: Others) -> Iterator[str]:
    """Nodes without the images, of this Plan and of others that lead to the same release.

    When the last server is new the packaged charts follow, and with them their pods on every node. A node that is not
    Ready gets none, and is not waited for.
    """
    for each in (plan, *(other for other in others.plans if other.target == plan.target)):
        for node in remaining(each, others.nodes):
            if node.ready and not (node.heard(each) and node.step in PREPARED):
                why = f": {node.said.reason}" if node.said and node.said.reason else ""
                yield f"Node {node.name} has not staged {each.target}{why}"


def _server(node: RolloutNode, working: Sequence[RolloutNode], others: Others, facts: RolloutFacts) -> str:
    """Servers one by one, over all Plans, and only while the others carry the cluster."""
    claimed = {host for plan in others.plans for host in plan.applying} | {each.host for each in working}
    for each in others.servers:
        if each.name == node.name:
            continue
        if each.busy or each.host in claimed:
            return f"server {each.name} comes first: servers are upgraded one by one"
        if not each.ready:
            return f"server {each.name} is not Ready"
    return facts.trouble


def _agent(plan: ClusterPlan, others: Others) -> str:
    """A kubelet must not be newer than an API server."""
    for each in others.servers:
        if not each.runs(plan.target):
            return f"server {each.name} runs {each.running or 'an unknown version'}: servers are upgraded before agents"
        if each.busy:
            return f"server {each.name} is being upgraded: servers are upgraded before agents"
    return ""


def lacks_snapshot(plan: ClusterPlan, node: RolloutNode, facts: RolloutFacts) -> bool:
    """Whether a snapshot is due first. A server that runs the release already is not taken down."""
    return node.server and facts.snapshots and not plan.snapshot and node.step != DONE


def snapshot(facts: RolloutFacts) -> str:
    """What is said while there is none."""
    failed = facts.no_snapshot
    return (
        f"the snapshot before the first server failed: {failed}"
        if failed
        else "a snapshot before the first server"
    )
