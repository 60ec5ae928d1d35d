"""What a decision makes of the status of a Plan, and which events tell of it; upstream's words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rke2.rollout.conditions import COMPLETE, condition, with_condition
from rke2.rollout.decide import PlanDecision
from rke2.rollout.plan import ClusterPlan
from rke2.rollout.resolve import PlanEvent, Status
from rke2.rollout.versions import munged


def status_of(status: Status, decision: PlanDecision, now: str) -> Status:
    """`status` with ``Complete`` and ``applying`` as decided."""
    standing = decision.standing
    after: dict[str, Any] = with_condition(
        status, COMPLETE, ok=standing.complete, reason=standing.reason, message=standing.message, now=now
    )
    return {**after, "applying": list(decision.applying)}


def events_of(status: Status, decision: PlanDecision) -> Iterator[PlanEvent]:
    """What is new in `decision`; `status` is the one before."""
    plan, standing = decision.plan, decision.standing
    before = condition(status, COMPLETE)
    if decision.applying and list(decision.applying) != list(status.get("applying") or ()):
        nodes = ",".join(decision.applying)
        yield PlanEvent("Normal", "SyncJob", f"Jobs synced for version {_of(plan, f' on Nodes {nodes}')}")
    if before.get("reason") == standing.reason:
        return
    if standing.complete:
        yield PlanEvent("Normal", "Complete", f"Jobs complete for version {_of(plan)}")
    elif standing.reason == "Waiting":
        told = f"Waiting to sync Jobs for version {_of(plan)}: {standing.message}"
        yield PlanEvent("Normal", "Waiting", told)
    elif standing.reason in ("JobFailed", "ValidationFailed"):
        yield PlanEvent("Warning", standing.reason, standing.message)


def _of(plan: ClusterPlan, more: str = "") -> str:
    return f"{munged(str(plan.target))}{more}. Hash: {plan.hash}"
