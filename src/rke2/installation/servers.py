"""The servers of the cluster, as a node's own controllers see them."""

from __future__ import annotations

import asyncio

from rke2.config.paths import Paths
from rke2.kube.client import Client
from rke2.kube.nodes import is_server
from rke2.kube.objects import name_of
from rke2.kube.resources import NODES
from rke2.release_version import ReleaseVersion

SECONDS = 30.0


def versions(paths: Paths) -> dict[str, ReleaseVersion | None]:
    """Server -> version of its kubelet; None where it is not known.

    Raises:
        KubeError: no API server answers.
        TimeoutError: not in time.
    """
    return asyncio.run(_versions(paths))


async def _versions(paths: Paths) -> dict[str, ReleaseVersion | None]:
    async with asyncio.timeout(SECONDS), Client(paths.agent / "rke2controller.kubeconfig") as client:
        nodes = (await client.list(NODES)).items
    return {
        name_of(node): ReleaseVersion.parse(node["status"]["nodeInfo"]["kubeletVersion"])
        for node in nodes
        if is_server(node)
    }
