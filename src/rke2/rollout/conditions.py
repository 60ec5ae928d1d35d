"""Conditions of a Plan, in the form of upstream's: with the time of the last look and of the last change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VALIDATED, RESOLVED, COMPLETE = "Validated", "LatestResolved", "Complete"


def condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """The condition of that type; empty if there is none."""
    return next((each for each in status.get("conditions") or () if each.get("type") == kind), {})


def is_true(status: Mapping[str, Any], kind: str) -> bool:
    return condition(status, kind).get("status") == "True"


def with_condition(
    status: Mapping[str, Any],
    kind: str,
    *,
    ok: bool,
    reason: str,
    message: str,
    now: str,
    looked: bool = False,
) -> dict[str, Any]:
    """`status` with the condition as given; times change only with something else.

    Args:
        now: RFC 3339.
        looked: somebody has looked again, so that the time of the last look changes whatever was found.
    """
    before = condition(status, kind)
    value = "True" if ok else "False"
    said = {"type": kind, "status": value, "reason": reason, "message": message}
    same = all(before.get(key, "") == text for key, text in said.items())
    after = {
        **said,
        "lastUpdateTime": before.get("lastUpdateTime", now) if same and not looked else now,
        "lastTransitionTime": before.get("lastTransitionTime", now) if before.get("status") == value else now,
    }
    present = list(status.get("conditions") or ())
    if not before:
        return {**status, "conditions": [*present, after]}
    return {**status, "conditions": [after if each is before else each for each in present]}
