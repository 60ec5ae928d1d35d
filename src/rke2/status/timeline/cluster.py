"""What the API server knows of a boot: when the node became Ready, and how each system pod on it came up.

Its times are whole seconds, of the clocks of those who wrote them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rke2.status.timeline.bars import TimelineBar, pieces

Object = Mapping[str, Any]

WINDOW = 900.0
"""Seconds after the start of rke2 in which a pod that is made belongs to the boot."""

_NOT_READY = "node.kubernetes.io/not-ready"
_MIRROR = "kubernetes.io/config.mirror"
_INSTALLER = "helm-install-"


class ClusterFacts:
    """What was read from the API server.

    Args:
        started: Unix time from which bars count.
        node: the Node of this machine, None if it is not there.
        pods: those on it, of the system's namespace.
        events: of those pods, ``Pulled``; their list may be empty.
    """

    def __init__(
        self, started: float, node: Object | None, pods: Sequence[Object], events: Sequence[Object]
    ) -> None:
        self._started = started
        self._node = node
        self._pods = [pod for pod in pods if self._of_boot(pod)]
        self._pulled: dict[str, float] = {}
        for event in events:
            at = self.seconds(event.get("lastTimestamp") or event.get("eventTime"))
            uid = event["involvedObject"].get("uid", "")
            if at is not None:
                self._pulled[uid] = max(at, self._pulled.get(uid, at))

    def seconds(self, time: str | None) -> float | None:
        """A time of the API as seconds since the start."""
        return datetime.fromisoformat(time).timestamp() - self._started if time else None

    def _of_boot(self, pod: Object) -> bool:
        at = self.seconds(pod["metadata"]["creationTimestamp"])
        # Whole seconds are cut off: what was made in the first one seems to be older than the boot.
        return at is not None and -1.0 <= at <= WINDOW

    def bars(self) -> Iterator[TimelineBar]:
        """The node's, then the pods'."""
        if self._node:
            yield from self._of_node(self._node)
        for pod in self._pods:
            yield self._of_pod(pod)

    def _of_node(self, node: Object) -> Iterator[TimelineBar]:
        ready, made = self.condition(node, "Ready"), self.seconds(node["metadata"]["creationTimestamp"])
        if ready is None or ready < 0 or made is None:
            return
        networks = tuple(f"pod:{pod['metadata']['name']}" for pod in self._pods if _makes_network(pod))
        requires = ("phase:kubelet", "phase:node", *networks)
        # A node that was registered by an earlier boot is not Ready until its kubelet says so again.
        yield TimelineBar("node", node["metadata"]["name"], max(made, 0.0), ready, requires, begins=ready)

    def _of_pod(self, pod: Object) -> TimelineBar:
        name = pod["metadata"]["name"]
        made = self.seconds(pod["metadata"]["creationTimestamp"]) or 0.0
        moments = [(step, moment(self, pod)) for step, moment in STEPS]
        # A static pod is shown to the API server when it has run for a while.
        made = min([made, *(at for _, at in moments if at is not None)])
        parts = pieces(made, moments)
        over = pod.get("status", {}).get("phase") == "Succeeded" or self.condition(pod, "Ready") is not None
        ended = max((at for _, at in moments if at is not None), default=made) if over else None
        return TimelineBar("pod", name, made, ended, self._requires(pod), moments[0][1], parts)

    def _requires(self, pod: Object) -> tuple[str, ...]:
        if _MIRROR in pod["metadata"].get("annotations", {}):
            return (f"phase:{pod['metadata'].get('labels', {}).get('component', '')}",)
        first = self._installer(pod["metadata"]["name"]) or "phase:controllers"
        return (first,) if _runs_without_network(pod) else (first, f"node:{pod['spec'].get('nodeName', '')}")

    def _installer(self, name: str) -> str:
        """The key of the pod that installs the chart of the pod `name`, whose name begins with the chart's."""
        if name.startswith(_INSTALLER):
            return ""
        charts = {_chart(pod): pod["metadata"]["name"] for pod in self._pods}
        own = [chart for chart in charts if chart and name.startswith(f"{chart}-")]
        return f"pod:{charts[max(own, key=len)]}" if own else ""

    def condition(self, obj: Object, kind: str) -> float | None:
        """When the condition became true; None if it is not."""
        for each in obj.get("status", {}).get("conditions", []):
            if each["type"] == kind and each["status"] == "True":
                return self.seconds(each.get("lastTransitionTime"))
        return None

    def pulled(self, pod: Object) -> float | None:
        """When the last image of the pod was there, as far as events tell."""
        return self._pulled.get(pod["metadata"].get("uid", ""))

    def running(self, pod: Object) -> float | None:
        """When the last container was started."""
        states = [each.get("state", {}) for each in pod.get("status", {}).get("containerStatuses", [])]
        times = [(each.get("running") or each.get("terminated") or {}).get("startedAt") for each in states]
        return max((at for at in map(self.seconds, times) if at is not None), default=None)

    def finished(self, pod: Object) -> float | None:
        """When the last container ended, of a pod whose work is done."""
        if pod.get("status", {}).get("phase") != "Succeeded":
            return None
        states = [each.get("state", {}) for each in pod["status"].get("containerStatuses", [])]
        times = [each.get("terminated", {}).get("finishedAt") for each in states]
        return max((at for at in map(self.seconds, times) if at is not None), default=None)


def _condition(kind: str) -> Callable[[ClusterFacts, Object], float | None]:
    return lambda facts, pod: facts.condition(pod, kind)


STEPS: tuple[tuple[str, Callable[[ClusterFacts, Object], float | None]], ...] = (
    ("to be scheduled", _condition("PodScheduled")),
    ("kubelet: sandbox and volumes", _condition("PodReadyToStartContainers")),
    ("init containers", _condition("Initialized")),
    ("images", ClusterFacts.pulled),
    ("kubelet: to start containers", ClusterFacts.running),
    ("its own start-up", _condition("Ready")),
    ("its work", ClusterFacts.finished),
)
"""How a pod comes up: what is waited for, and when that is over. The first moment is that of its node."""


def _chart(pod: Object) -> str:
    """The chart that the pod installs, empty if it installs none: its name is that of its Job and five letters."""
    name: str = pod["metadata"]["name"]
    return name.removeprefix(_INSTALLER).rpartition("-")[0] if name.startswith(_INSTALLER) else ""


def _makes_network(pod: Object) -> bool:
    owners = [owner["kind"] for owner in pod["metadata"].get("ownerReferences", [])]
    return "DaemonSet" in owners and bool(pod["spec"].get("hostNetwork"))


def _runs_without_network(pod: Object) -> bool:
    """Whether it may go to a node that is not Ready yet."""
    return any(
        each.get("effect") in (None, "", "NoSchedule")
        and (each.get("key") in (None, "", _NOT_READY))
        and (each.get("operator") == "Exists" or each.get("key") == _NOT_READY)
        for each in pod["spec"].get("tolerations", [])
    )
