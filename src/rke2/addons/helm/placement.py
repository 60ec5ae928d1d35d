"""Which nodes a job may run on: those of the control plane, whatever an operator keeps other pods away with.

A job holds the credentials of a cluster administrator, so no agent gets it; and a cluster in which every server is
tainted installs its charts nevertheless. None of this is part of a job's hash: a taint runs no chart again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rke2.kube.client import Client
from rke2.kube.nodes import CONTROL_PLANE_ROLE
from rke2.kube.objects import Object
from rke2.kube.resources import NODES, PODS

_CONDITIONS = "node.kubernetes.io/"
"""Begins the taints Kubernetes sets itself, of nodes that are cordoned, lost, not ready or short of something."""

_KEEPS_AWAY = ("NoSchedule", "NoExecute")


async def control_plane_nodes(client: Client) -> list[Object]:
    """The nodes of servers with an API server (and a kubelet, else there is no Node).

    Raises:
        KubeError: they cannot be listed.
    """
    return (await client.list(NODES, label_selector=f"{CONTROL_PLANE_ROLE}=true")).items


def placed(pod: Object, nodes: Sequence[Object]) -> Object:
    """The pod spec for these control-plane nodes; without any of them it may run anywhere."""
    if not nodes:
        return pod
    wanted = [*(pod.get("tolerations") or ()), *missing_tolerations(pod, nodes)]
    selector = {**(pod.get("nodeSelector") or {}), CONTROL_PLANE_ROLE: "true"}
    return {**pod, "nodeSelector": selector, **({"tolerations": wanted} if wanted else {})}


def missing_tolerations(pod: Object, nodes: Iterable[Object]) -> list[Object]:
    """Of the taints operators gave the nodes, those the pod spec does not tolerate."""
    there = pod.get("tolerations") or ()
    taints = {
        (taint["key"], taint["effect"])
        for node in nodes
        for taint in (node.get("spec") or {}).get("taints") or ()
        if taint["effect"] in _KEEPS_AWAY and not taint["key"].startswith(_CONDITIONS)
    }
    return [
        {"key": key, "operator": "Exists", "effect": effect}
        for key, effect in sorted(taints)
        if not any(_tolerates(each, key, effect) for each in there)
    ]


def _tolerates(toleration: Object, key: str, effect: str) -> bool:
    """Whatever the taint's value is."""
    return (
        toleration.get("operator") == "Exists"
        and toleration.get("key") in (None, "", key)
        and toleration.get("effect") in (None, "", effect)
        and "tolerationSeconds" not in toleration
    )


def is_unschedulable(pod: Object) -> bool:
    """Whether the scheduler looked at the pod and found no node."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(
        each.get("type") == "PodScheduled" and each.get("reason") == "Unschedulable" for each in conditions
    )


Tell = Callable[[Object, Sequence[Object]], None]
"""Is given a pod that stays without a node, and the nodes it may run on."""


async def let_in(client: Client, pods: Iterable[Object], tell: Tell) -> bool:
    """Let pods for which there is no node onto the control plane's: it was tainted after their job was made.

    A pod may be given more tolerations at any time, unlike the template of a Job, so helm is not run twice for it.

    Args:
        tell: for the pods that tolerations do not help.

    Returns:
        Whether a pod has no node: nodes come, and lose or gain taints, without a change of the pod.

    Raises:
        KubeError: nodes cannot be listed, or a pod cannot be changed.
    """
    waiting = [pod for pod in pods if is_unschedulable(pod)]
    nodes = await control_plane_nodes(client) if waiting else []
    for pod in waiting:
        if missing := missing_tolerations(pod["spec"], nodes):
            meta = pod["metadata"]
            guarded = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
            tolerations = [*(pod["spec"].get("tolerations") or ()), *missing]
            patch = {"metadata": guarded, "spec": {"tolerations": tolerations}}
            await client.patch(PODS, meta["name"], patch, namespace=meta["namespace"])
        else:
            tell(pod, nodes)
    return bool(waiting)
