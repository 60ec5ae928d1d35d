"""Plans that are not complete, for a line of ``rke2 status``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rke2.kube.resources import PLANS
from rke2.rollout.conditions import COMPLETE, condition, is_true
from rke2.rollout.names import NAMESPACE
from rke2.status.api import Api
from rke2.status.asking import FAILURES


@dataclass(frozen=True)
class PlanUnderWay:
    """A Plan that still has something to do, or cannot go on; `reason` is that of its condition ``Complete``."""

    name: str
    version: str
    reason: str
    message: str

    @property
    def words(self) -> str:
        told = f"{self.reason}: {self.message}" if self.message else self.reason
        return f"{self.name} to {self.version or 'a version that is not known yet'} ({told or 'new'})"


def under_way(api: Api) -> tuple[PlanUnderWay, ...]:
    """The Plans that are not complete; none if the API server cannot be asked for them."""
    try:
        items = api.items(PLANS.path(NAMESPACE))
    except (*FAILURES, ValueError, LookupError):
        return ()
    return tuple(_plan(item) for item in items if not is_true(item.get("status") or {}, COMPLETE))


def _plan(item: dict[str, Any]) -> PlanUnderWay:
    status = item.get("status") or {}
    complete = condition(status, COMPLETE)
    return PlanUnderWay(
        item["metadata"]["name"],
        status.get("latestVersion", ""),
        complete.get("reason", ""),
        complete.get("message", ""),
    )
