"""Why a pod has no node, with the taints by name: since Kubernetes 1.36 the scheduler only says that there are some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rke2.causes.wording import gist

Object = Mapping[str, Any]

_KEEPS_AWAY = ("NoSchedule", "NoExecute")
_TAINTED, _CORDONED = "untolerated taint", "were unschedulable"
"""In what the scheduler says."""


def without_node(pod: Object, nodes: Sequence[Object] = ()) -> str:
    """Why the pod has no node; empty if it has one, or if the scheduler is about to look.

    Args:
        nodes: of the cluster, whose taints are named.
    """
    if pod.get("spec", {}).get("nodeName"):
        return ""
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("reason") == "SchedulingGated":
        gates = ", ".join(gate["name"] for gate in pod["spec"].get("schedulingGates", ()))
        return f"held back from scheduling by the gates {gates}"
    if scheduled.get("status") != "False":
        return ""
    said = gist(str(scheduled.get("message", ""))).rstrip(".")
    named = [
        *(untolerated(pod, nodes) if _TAINTED in said else ()),
        *(_cordoned(nodes) if _CORDONED in said else ()),
    ]
    return f"no node for it: {said}" + (f": {', '.join(named)}" if named else "")


def not_looked_at(pod: Object) -> bool:
    """Whether no scheduler has said anything of the pod."""
    return not pod.get("spec", {}).get("nodeName") and not _condition(pod, "PodScheduled")


def untolerated(pod: Object, nodes: Iterable[Object]) -> list[str]:
    """The taints that keep the pod away, each with its nodes: ``dedicated=db:NoSchedule on server-0``."""
    tolerations = pod.get("spec", {}).get("tolerations") or ()
    found: dict[str, list[str]] = {}
    for node in nodes:
        for taint in node.get("spec", {}).get("taints") or ():
            if taint["effect"] in _KEEPS_AWAY and not any(_tolerates(each, taint) for each in tolerations):
                found.setdefault(_written(taint), []).append(node["metadata"]["name"])
    return [f"{taint} on {_few(names)}" for taint, names in found.items()]


def _cordoned(nodes: Iterable[Object]) -> list[str]:
    names = [node["metadata"]["name"] for node in nodes if node.get("spec", {}).get("unschedulable")]
    return [f"cordoned: {_few(names)}"] if names else []


def _condition(pod: Object, kind: str) -> Object:
    conditions: Iterable[Object] = pod.get("status", {}).get("conditions") or ()
    return next((each for each in conditions if each.get("type") == kind), {})


def _tolerates(toleration: Object, taint: Object) -> bool:
    """As Kubernetes decides: no key means every key, no effect every effect; ``Equal`` is the default."""
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("key") not in (None, "", taint["key"]):
        return False
    exists = toleration.get("operator") == "Exists"
    return exists or (bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", ""))


def _written(taint: Object) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"


def _few(names: Sequence[str], most: int = 3) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
