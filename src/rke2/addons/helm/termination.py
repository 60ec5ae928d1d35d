"""What the container of a helm job said when it ended: its termination message, a line for each step of helm-job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

State = Mapping[str, Any]
"""Of a container, as a pod's status has it."""

STEP = "helm-job: "
"""Begins every step."""

_FAILED = " failed with exit code "
"""In the last step when helm failed; under ``failurePolicy: retry`` the container ends well nevertheless."""


def last_failure(pod: Mapping[str, Any]) -> State | None:
    """The terminated state of the helm container from when helm, or the container, last failed."""
    for status in (pod.get("status") or {}).get("containerStatuses") or []:
        for moment in ("state", "lastState"):
            ended: State | None = (status.get(moment) or {}).get("terminated")
            if ended and (ended.get("exitCode") or _FAILED in _last_step(ended)):
                return ended
    return None


def told(failure: State) -> str:
    """What the container said last."""
    return (
        _last_step(failure)
        or f"helm ended with exit code {failure.get('exitCode')} ({failure.get('reason', 'Error')})"
    )


def told_in_a_line(failure: State) -> str:
    """The same without line breaks and indentation."""
    return " ".join(told(failure).split())


def _last_step(ended: State) -> str:
    return str(ended.get("message") or "").rpartition(STEP)[2].strip()
