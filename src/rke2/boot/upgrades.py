"""Upgrades of this node that the leading server asks for."""

from __future__ import annotations

from rke2.boot.node import Node
from rke2.errors import HostError
from rke2.rollout.node_request import UpgradeRequest
from rke2.rollout.node_side import NodeUpgrades
from rke2.version import VERSION


async def follow(node: Node) -> None:
    """Answer what the annotation of the own Node asks, until cancelled."""
    # A kubelet may write the annotations of its own Node, and of no other.
    async with node.supervisor() if node.config.server else node.kubelet() as client:
        work = NodeUpgrades(client, node.config.node.name, _begin, lambda: None, VERSION)
        await work.run(lambda: None)


async def _begin(request: UpgradeRequest) -> None:
    """Refuse: nothing on the node exchanges its program yet.

    Raises:
        HostError: always.
    """
    raise HostError(
        f"rke2 {VERSION} does not exchange its own program for {request.version} yet",
        "upgrade the node by hand (docs/upgrades.md), then remove the annotations rke2.io/upgrade and "
        "rke2.io/upgrade-status of its Node",
    )
