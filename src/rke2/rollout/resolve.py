"""From what an operator wrote to a version and a hash: conditions Validated and LatestResolved, in upstream's words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rke2.kube.events import EventType
from rke2.kube.objects import Object
from rke2.release_version import ReleaseVersion
from rke2.rollout.channel import ChannelError
from rke2.rollout.conditions import COMPLETE, RESOLVED, VALIDATED, condition, is_true, with_condition
from rke2.rollout.digest import digest
from rke2.rollout.facts import elapsed
from rke2.rollout.plan import ClusterPlan, PlanError, PlanSpec, read_plan, read_spec
from rke2.rollout.validation import UNRESOLVABLE, problems
from rke2.rollout.versions import munged

POLLING = 900.0
"""Seconds between two questions to a channel."""
_NOT_READY = "plan is not valid and resolved"

Status = dict[str, Any]
Ask = Callable[[str, str], Awaitable[str]]
"""Asks a channel: its URL, and the version that was the latest so far."""


@dataclass(frozen=True)
class PlanEvent:
    """Something that an event on a Plan tells of."""

    kind: EventType
    reason: str
    message: str


@dataclass(frozen=True)
class Resolution:
    """What became of a Plan.

    Args:
        plan: None if it cannot be carried out.
    """

    status: Status
    plan: ClusterPlan | None = None
    events: tuple[PlanEvent, ...] = ()


async def resolve(
    obj: Object, secrets: Mapping[str, Object], now: datetime, ask: Ask, *, again: bool = False
) -> Resolution:
    """Validate a Plan and find its version and hash.

    Args:
        secrets: those of its namespace, by name.
        again: ask the channel although it was asked a short while ago.
    """
    status, stamp = dict(obj.get("status") or {}), now.strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        spec = read_spec(obj)
        wrong = "; ".join(problems(spec, secrets))
    except PlanError as error:
        spec, wrong = PlanSpec(), error.message
    status, events = _validated(status, wrong, stamp)
    if wrong:
        return Resolution(_not_ready(status, stamp), None, events)
    before, was_resolved = status.get("latestVersion", ""), is_true(status, RESOLVED)
    status, event = await _resolved(status, spec, now, stamp, ask, again=again)
    events = (*events, *event)
    if not is_true(status, RESOLVED):
        return Resolution(_not_ready(status, stamp), None, events)
    if status["latestVersion"] != before or not was_resolved:
        status = with_condition(status, COMPLETE, ok=False, reason="Resolved", message="", now=stamp)
    status["latestHash"] = digest(obj, spec, status["latestVersion"], secrets)
    return Resolution(status, read_plan(obj, spec, status), events)


def _not_ready(status: Status, stamp: str) -> Status:
    return with_condition(status, COMPLETE, ok=False, reason="NotReady", message=_NOT_READY, now=stamp)


def _validated(status: Status, wrong: str, stamp: str) -> tuple[Status, tuple[PlanEvent, ...]]:
    reason = "Error" if wrong else "PlanIsValid"
    after = with_condition(status, VALIDATED, ok=not wrong, reason=reason, message=wrong, now=stamp)
    if condition(status, VALIDATED).get("status") == condition(after, VALIDATED)["status"]:
        return after, ()
    if wrong:
        return after, (PlanEvent("Warning", "ValidateFailed", f"Failed to validate plan: {wrong}"),)
    return after, (PlanEvent("Normal", "Validated", "Plan is valid"),)


async def _resolved(
    status: Status, spec: PlanSpec, now: datetime, stamp: str, ask: Ask, *, again: bool
) -> tuple[Status, tuple[PlanEvent, ...]]:
    if spec.version:
        return _found(status, spec.version, "Version", stamp)
    if not spec.channel:
        return _unresolved(status, UNRESOLVABLE, UNRESOLVABLE, stamp)
    if _is_fresh(status, now) and not again:
        return status, ()
    try:
        version = await ask(spec.channel, str(status.get("latestVersion", "")))
    except ChannelError as error:
        told = f"Failed to resolve latest version from Spec.Channel: {error.message}"
        if condition(status, RESOLVED).get("reason") == "Channel" and not again:
            # The version that it named last stays good while it does not answer.
            return status, (PlanEvent("Warning", "ResolveFailed", told),)
        return _unresolved(status, error.message, told, stamp)
    return _found(status, version, "Channel", stamp)


def _is_fresh(status: Status, now: datetime) -> bool:
    resolved = condition(status, RESOLVED)
    since = elapsed(resolved.get("lastUpdateTime", ""), now)
    asked = resolved.get("reason") == "Channel" and resolved.get("status") == "True"
    return asked and since is not None and since < POLLING


def _found(status: Status, version: str, source: str, stamp: str) -> tuple[Status, tuple[PlanEvent, ...]]:
    if ReleaseVersion.parse(version) is None:
        wrong = f"{version!r} is not the version of a release, such as v1.37.2+rke2py1"
        told = f"Failed to resolve latest version from Spec.{source}: {wrong}"
        return _unresolved(status, wrong, told, stamp)
    latest = munged(version)
    after = with_condition(
        status, RESOLVED, ok=True, reason=source, message="", now=stamp, looked=source == "Channel"
    )
    after["latestVersion"] = latest
    if is_true(status, RESOLVED) and status.get("latestVersion") == latest:
        return after, ()
    told = f"Resolved latest version from Spec.{source}: {latest}"
    return after, (PlanEvent("Normal", "Resolved", told),)


def _unresolved(status: Status, why: str, told: str, stamp: str) -> tuple[Status, tuple[PlanEvent, ...]]:
    after = with_condition(status, RESOLVED, ok=False, reason="Error", message=why, now=stamp)
    if condition(status, RESOLVED).get("status") == "False":
        return after, ()
    return after, (PlanEvent("Warning", "ResolveFailed", told),)
