"""What the API server repeats of containers that ended, mostly with a reboot, until the kubelet has reported again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rke2.status.settled import Unsettled

Object = Mapping[str, Any]


def outdated(nodes: Iterable[Object], pods: Iterable[Object], boot_id: str, tasks: Path) -> list[Unsettled]:
    """The pods said to run on this node that do not.

    Args:
        boot_id: the kernel's; a node that reports it is this one.
        tasks: containerd's directory with one entry for each container that runs; a reboot empties it.
    """
    own = {node["metadata"]["name"] for node in nodes if _boot_id(node) == boot_id}
    here = (pod for pod in pods if pod["spec"].get("nodeName") in own)
    return [
        Unsettled("pod", pod["metadata"]["name"], "its container has ended, which is not reported yet")
        for pod in here
        if any(not (tasks / container).exists() for container in _running(pod))
    ]


def _boot_id(node: Object) -> str:
    return str(node.get("status", {}).get("nodeInfo", {}).get("bootID", ""))


def _running(pod: Object) -> Iterator[str]:
    """The containers said to run, by the ids containerd gave them."""
    for state in pod.get("status", {}).get("containerStatuses", ()):
        if "running" in state.get("state", {}):
            yield str(state.get("containerID", "")).rpartition("/")[2]
