"""Taking static pods away: the manifest first, or the kubelet would begin the pod again."""

from __future__ import annotations

from collections.abc import Collection

from rke2.config.paths import Paths
from rke2.content.images.cri import CRI
from rke2.staticpods import writer
from rke2.staticpods.reconcile import remove_static_pods

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


async def take_away(cri: CRI, paths: Paths, components: Collection[str] = CONTROL_PLANE) -> None:
    """Remove the manifests of `components`, and end their pods.

    Raises:
        ComponentError: the runtime fails.
    """
    for name in components:
        writer.remove(paths, name)
    await remove_static_pods(cri, components)
