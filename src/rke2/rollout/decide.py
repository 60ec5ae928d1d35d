"""Which node is upgraded next, decided from Plans, Nodes and facts. Pure.

::

    not pending: label plan.upgrade.cattle.io/<plan> is the hash ─────────────────▶ nothing
    pending ──▶ STAGE, all of them at once
            ──▶ its turn comes (concurrency, window, order, guards) ──▶ in status.applying
                  ──▶ MAKE_WAY: cordon, drain ──▶ BEGIN: the node upgrades itself
                        ──▶ done ──▶ RELEASE: uncordon ── postCompleteDelay ──▶ LABEL: not pending any more
                        ──▶ failed, rolled back, too late: the Plan stops (JobFailed)

Who has a turn and who is hindered is in `rke2.rollout.guards`. Upstream has no such guards but concurrency and window,
and goes on beside a node that failed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import msgspec

from rke2.rollout import guards
from rke2.rollout.facts import RolloutFacts, RolloutNode, elapsed, turn_of
from rke2.rollout.guards import Others
from rke2.rollout.node_request import DONE, ENDED, PREPARED
from rke2.rollout.plan import ClusterPlan
from rke2.rollout.versions import hindrance


class Deed(Enum):
    """What is done to a node."""

    STAGE = "ask it to stage the release"
    MAKE_WAY = "cordon and drain it"
    BEGIN = "ask it to upgrade itself"
    RELEASE = "uncordon it"
    LABEL = "label it as done"


@dataclass(frozen=True)
class NodeDeed:
    deed: Deed
    node: RolloutNode


@dataclass(frozen=True)
class PlanStanding:
    """The condition ``Complete``: its status, and upstream's reason."""

    complete: bool
    reason: str
    message: str = ""


@dataclass(frozen=True)
class PlanDecision:
    """What becomes of a Plan.

    Args:
        applying: host names, sorted.
        snapshot: one has to be taken before anything else is done.
    """

    plan: ClusterPlan
    standing: PlanStanding
    applying: tuple[str, ...] = ()
    deeds: tuple[NodeDeed, ...] = ()
    snapshot: bool = False

    @property
    def begins_a_server(self) -> bool:
        """Whether a server would be taken down, for which etcd and the other API servers must be well."""
        return self.snapshot or any(
            each.node.server and each.deed in (Deed.MAKE_WAY, Deed.BEGIN) for each in self.deeds
        )


def decide(
    plans: Iterable[ClusterPlan], nodes: Sequence[RolloutNode], facts: RolloutFacts
) -> list[PlanDecision]:
    """What to do now.

    Args:
        plans: those that are valid and resolved.
        nodes: all of the cluster.
    """
    # Those that are at work first: what they hold, no other may take.
    ordered = sorted(plans, key=lambda plan: (not plan.applying, plan.age, plan.key))
    decisions: list[PlanDecision] = []
    for number, plan in enumerate(ordered):
        others = Others((*(each.plan for each in decisions), *ordered[number + 1 :]), nodes)
        decision = _decide(plan, others, facts)
        # What was decided for one is part of what the next one sees.
        now = msgspec.structs.replace(plan, applying=decision.applying)
        decisions.append(replace(decision, plan=now))
    return decisions


def pending(plan: ClusterPlan, nodes: Sequence[RolloutNode]) -> list[RolloutNode]:
    """The nodes that `plan` still has to be applied to: those at work first, then in upstream's order."""
    found = guards.remaining(plan, nodes)
    return sorted(found, key=lambda node: (node.host not in plan.applying, _order(plan, node)))


def _order(plan: ClusterPlan, node: RolloutNode) -> str:
    return hashlib.sha256((node.uid + plan.uid + plan.hash).encode()).hexdigest()


def _decide(plan: ClusterPlan, others: Others, facts: RolloutFacts) -> PlanDecision:
    left = pending(plan, others.nodes)
    if not left:
        return PlanDecision(plan, PlanStanding(True, "Complete"))
    current = [node for node in left if node.host in plan.applying]
    ends = tuple(_ends(plan, current, facts))
    if failed := next(_failures(plan, left, facts), ""):
        return PlanDecision(plan, PlanStanding(False, "JobFailed", failed), _hosts(current), ends)
    if forbidden := next(_forbidden(plan, left), ""):
        return PlanDecision(plan, PlanStanding(False, "ValidationFailed", forbidden), _hosts(current), ends)
    stages = tuple(NodeDeed(Deed.STAGE, node) for node in left if guards.may_stage(plan, node, others))
    return _turns(plan, left, others, facts, (*ends, *stages))


def _turns(
    plan: ClusterPlan,
    left: Sequence[RolloutNode],
    others: Others,
    facts: RolloutFacts,
    deeds: tuple[NodeDeed, ...],
) -> PlanDecision:
    """Those at work go on, and free places are taken."""
    working = [node for node in left if node.host in plan.applying]
    waiting = ""
    for node in left:
        if node.asked(plan) and node in working:
            continue
        why = _hindrance(plan, node, working, others, facts)
        if not why and guards.lacks_snapshot(plan, node, facts):
            # The node gets no place before: the next look, with the snapshot, comes to the same one.
            standing = _standing(working, guards.snapshot(facts))
            return PlanDecision(plan, standing, _hosts(working), deeds, snapshot=True)
        if why is None or why:
            waiting = waiting or why or ""
            continue
        working += [] if node in working else [node]
        deeds += (NodeDeed(_begin(plan, node, facts), node),)
    return PlanDecision(plan, _standing(working, waiting), _hosts(working), deeds)


def _hindrance(
    plan: ClusterPlan, node: RolloutNode, working: Sequence[RolloutNode], others: Others, facts: RolloutFacts
) -> str | None:
    """Why `node` may not begin; None if all places are taken, which needs no words."""
    if node not in working:
        if why := guards.untimely(plan, others, facts):
            return why
        if len(working) >= plan.spec.concurrency:
            return None
    # Also for those that have a place: a leader may have come to its end between the place and the request.
    return guards.unsafe(plan, node, working, others, facts)


def _begin(plan: ClusterPlan, node: RolloutNode, facts: RolloutFacts) -> Deed:
    if node.step == DONE:  # it ran the release before anybody asked: its pods may stay
        return Deed.BEGIN
    drained = turn_of(plan, node) in facts.drained
    cordoned = node.unschedulable and plan.spec.drain is None
    return Deed.BEGIN if drained or cordoned or not plan.spec.makes_way else Deed.MAKE_WAY


def _standing(working: Sequence[RolloutNode], waiting: str) -> PlanStanding:
    if not working:
        return PlanStanding(False, "Waiting", waiting or "spec.concurrency is 0")
    told = ", ".join(f"{node.name}: {node.step or 'is made ready'}" for node in working)
    return PlanStanding(False, "SyncJob", f"{told}; {waiting}" if waiting else told)


def _ends(plan: ClusterPlan, current: Iterable[RolloutNode], facts: RolloutFacts) -> Iterator[NodeDeed]:
    """What is left to do for nodes that are done. Also where the Plan has stopped: they are as they should be."""
    for node in current:
        if not _is_done(plan, node):
            continue
        if node.unschedulable and plan.spec.makes_way:
            yield NodeDeed(Deed.RELEASE, node)
        since = elapsed(node.said.since, facts.now) if node.said else None
        if since is None or since >= plan.spec.delay.total_seconds():
            yield NodeDeed(Deed.LABEL, node)


def _is_done(plan: ClusterPlan, node: RolloutNode) -> bool:
    """Whether it says so, and its kubelet with it."""
    return node.asked(plan) and node.step == DONE and node.ready and node.runs(plan.target)


def _failures(plan: ClusterPlan, left: Iterable[RolloutNode], facts: RolloutFacts) -> Iterator[str]:
    """Why nothing more is begun."""
    for node in left:
        if why := facts.stuck.get(turn_of(plan, node)):
            yield f"Job failed on Node {node.name}: {why}"
        elif not node.heard(plan):
            continue
        elif node.said and node.step in ENDED - {DONE}:
            reason = node.said.reason or "see `rke2 upgrade status` there"
            yield f"Job failed on Node {node.name}: {node.step}: {reason}"
        elif late := _late(plan, node, facts):
            yield f"Job failed on Node {node.name}: DeadlineExceeded: {late}"


def _late(plan: ClusterPlan, node: RolloutNode, facts: RolloutFacts) -> str:
    """Whether it has taken more time than the Plan gives."""
    assert node.request
    if _is_done(plan, node) or (node.request.stage and (node.step in PREPARED or not node.ready)):
        return ""
    deadline, since = plan.spec.deadline, elapsed(node.request.since, facts.now)
    if deadline is None or since is None or since <= deadline.total_seconds():
        return ""
    what = "staging" if node.request.stage else "the upgrade"
    return f"{what} was not done within {deadline.total_seconds():.0f} s ({node.step or 'the node does not answer'})"


def _forbidden(plan: ClusterPlan, left: Iterable[RolloutNode]) -> Iterator[str]:
    for node in left:
        if node.running and not node.asked(plan) and (why := hindrance(node.running, plan.target)):
            yield f"Node {node.name}: {why}"


def _hosts(nodes: Iterable[RolloutNode]) -> tuple[str, ...]:
    return tuple(sorted(node.host for node in nodes))
