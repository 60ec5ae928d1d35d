"""The newest event of an object that tells a cause: a table of reasons, and what is said of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rke2.causes.wording import gist

Object = Mapping[str, Any]


@dataclass(frozen=True)
class _Row:
    """What is said of an event.

    Args:
        stage: before its message.
        passing: it is on its way; nothing is wrong.
    """

    stage: str
    passing: bool = False


_OF_PODS: Mapping[str, _Row] = {
    "FailedCreatePodSandBox": _Row("no sandbox: "),
    "FailedPodSandBoxStatus": _Row("no sandbox: "),
    "NetworkNotReady": _Row(""),
    "FailedMount": _Row(""),
    "FailedAttachVolume": _Row(""),
    "FailedMapVolume": _Row(""),
    "FailedMountOnFilesystemMismatch": _Row("volume: "),
    "VolumePermissionChangeInProgress": _Row("volume: ", passing=True),
    "FailedPrepareDynamicResources": _Row("devices: "),
    "FailedCreatePodContainer": _Row("container: "),
    "InspectFailed": _Row("image: "),
    "FailedValidation": _Row("refused by the kubelet: "),
    "FailedSync": _Row(""),
    "FailedKillPod": _Row("cannot be ended: "),
    "NodeNotReady": _Row(""),
    "TaintManagerEviction": _Row(""),
    "Pulling": _Row("", passing=True),
    # These say that what failed before has succeeded since.
    "Scheduled": _Row("", passing=True),
    "Pulled": _Row("", passing=True),
    "Created": _Row("", passing=True),
    "Started": _Row("", passing=True),
}
"""What happens to a pod before its containers have a state that tells more."""

_SILENT = ("Scheduled", "Pulled", "Created", "Started")

_OF_CONTROLLERS = (
    "FailedCreate",
    "FailedDaemonPod",
    "FailedPlacement",
    "BackoffLimitExceeded",
    "DeadlineExceeded",
)
"""Of DaemonSets, Jobs and ReplicaSets whose pods the API server refuses, or which have given up."""


@dataclass(frozen=True)
class Told:
    """A cause as an event tells it."""

    words: str
    passing: bool = False


NOTHING = Told("")


def newest(events: Iterable[Object]) -> Told:
    """What the newest event of a pod that means something says of it."""
    known = [event for event in events if event.get("reason") in _OF_PODS]
    if not known:
        return NOTHING
    last = max(known, key=when)
    if last["reason"] in _SILENT:
        return NOTHING
    row = _OF_PODS[last["reason"]]
    return Told(row.stage + gist(str(last.get("message", ""))), row.passing)


def of_controller(events: Iterable[Object]) -> str:
    """Why a controller makes no pods, as its newest warning says."""
    return _last(events, lambda event: event.get("reason") in _OF_CONTROLLERS)


def of_probe(events: Iterable[Object], container: str = "", kind: str = "") -> str:
    """What a failing probe found; empty if none fails.

    The recorder drops all but 25 repetitions in a row, so how old an event is says nothing.

    Args:
        container: whose probe; any if empty.
        kind: ``Liveness`` and the like; any if empty.
    """
    path = f"{{{container}}}"

    def fits(event: Object) -> bool:
        about = str(event.get("involvedObject", {}).get("fieldPath", ""))
        return (
            event.get("reason") == "Unhealthy"
            and str(event.get("message", "")).startswith(kind)
            and (not container or not about or about.endswith(path))
        )

    return _last(events, fits)


def was_killed_by_probe(events: Iterable[Object], container: str) -> bool:
    """Whether the kubelet has ended the container because of its liveness or startup probe."""
    said = (str(event.get("message", "")) for event in events if event.get("reason") == "Killing")
    return any(f"Container {container} failed " in words for words in said)


def when(event: Object) -> tuple[str, int]:
    """When an event was seen last: in the field of its API, old or new; within a second, the later write."""
    series = event.get("series") or {}
    moments = (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        event.get("metadata", {}).get("creationTimestamp"),
    )
    version = str(event.get("metadata", {}).get("resourceVersion", ""))
    # Without the fraction, which only some of them have.
    moment = str(next(filter(None, moments), ""))[:19]
    return moment, int(version) if version.isdecimal() else 0


def _last(events: Iterable[Object], fits: Callable[[Object], bool]) -> str:
    found = [event for event in events if fits(event)]
    return gist(str(max(found, key=when).get("message", ""))) if found else ""
