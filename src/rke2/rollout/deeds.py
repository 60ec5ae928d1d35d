"""What is written to a Node: a request, its labels, whether it takes pods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rke2.rollout.decide import Deed
from rke2.rollout.facts import RolloutNode
from rke2.rollout.names import REQUEST, plan_label
from rke2.rollout.node_request import UpgradeRequest, as_text
from rke2.rollout.plan import ClusterPlan
from rke2.rollout.versions import munged


def patch_of(deed: Deed, plan: ClusterPlan, node: RolloutNode, now: str) -> dict[str, Any]:
    """The merge patch for `node`.

    Args:
        now: RFC 3339.
    """
    if deed is Deed.STAGE:
        return _metadata(annotations={REQUEST: _request(plan, now, stage=True)})
    if deed is Deed.BEGIN:
        # Of the Node as it was decided about: another leader may have asked something else of it since.
        asked = _metadata(annotations={REQUEST: _request(plan, now, stage=False)})
        asked["metadata"]["resourceVersion"] = node.seen
        return asked
    if deed is Deed.LABEL:
        return _metadata(labels=_labels(plan), annotations={REQUEST: None})
    return {"spec": {"unschedulable": True if deed is Deed.MAKE_WAY else None}}


def _metadata(**fields: Mapping[str, str | None]) -> dict[str, Any]:
    return {"metadata": dict(fields)}


def _request(plan: ClusterPlan, now: str, *, stage: bool) -> str:
    return as_text(UpgradeRequest(str(plan.target), str(plan.key), plan.hash, stage=stage, since=now))


def _labels(plan: ClusterPlan) -> dict[str, str | None]:
    latest = munged(str(plan.target))
    wanted = {
        key: value.replace("$(LATEST_HASH)", plan.hash).replace("$(LATEST_VERSION)", latest)
        for key, value in plan.spec.post_complete_labels.items()
    }
    return {**wanted, plan_label(plan.name): plan.hash}
