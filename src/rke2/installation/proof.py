"""What a new release has to show: its Node Ready with the new version, static pods and pods of DaemonSets running."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from rke2 import goyaml
from rke2.kube.client import Client
from rke2.kube.objects import Object, condition_is_true, name_of
from rke2.kube.resources import NODES, PODS


async def missing(client: Client, node: str, version: str, manifests: Path) -> str:
    """What this node has not shown yet, in the operator's words; empty if it has proven itself.

    Args:
        client: with the rights of the kubelet or more.
        manifests: the directory of static pods.

    Raises:
        KubeError: the API server does not answer.
    """
    found = await client.find(NODES, node)
    pods = (await client.list(PODS, field_selector=f"spec.nodeName={node}")).items
    return lacking(found, pods, version, static_images(manifests))


def static_images(manifests: Path) -> dict[str, frozenset[str]]:
    """Static pod -> images of its containers."""
    found = {}
    for file in sorted(manifests.glob("*.yaml")):
        pod = goyaml.load(file.read_text())
        found[str(pod["metadata"]["name"])] = _images(pod)
    return found


def lacking(
    node: Object | None, pods: Iterable[Object], version: str, static: Mapping[str, frozenset[str]]
) -> str:
    """The same of what was found.

    Args:
        static: as of `static_images`; their pods have the name of the node added.
    """
    if node is None:
        return "the Node to be registered"
    kubelet = str(node["status"]["nodeInfo"]["kubeletVersion"])
    if kubelet.partition("+")[0] != version.partition("+")[0]:
        return f"the kubelet of {version}: the Node still says {kubelet}"
    if not condition_is_true(node, "Ready"):
        return "the Node to be Ready"
    alive = {name_of(pod): pod for pod in pods if not (pod["metadata"].get("deletionTimestamp"))}
    for name, images in static.items():
        pod = alive.get(f"{name}-{name_of(node)}")
        if pod is None or _images(pod) != images or not condition_is_true(pod, "Ready"):
            return f"the static pod {name} to be Ready with its image of this release"
    late = [
        name for name, pod in alive.items() if _of_daemon_set(pod) and not condition_is_true(pod, "Ready")
    ]
    return f"pods of DaemonSets to be Ready: {', '.join(sorted(late))}" if late else ""


def _images(pod: Object) -> frozenset[str]:
    return frozenset(str(each["image"]) for each in pod["spec"]["containers"])


def _of_daemon_set(pod: Object) -> bool:
    owners = pod["metadata"].get("ownerReferences") or []
    return any(owner["kind"] == "DaemonSet" for owner in owners)
