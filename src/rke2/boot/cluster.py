"""What follows once the API server answers: controllers, and this node as a member of the cluster."""

from __future__ import annotations

import asyncio

from rke2.addons.node_roles import role_labels
from rke2.addons.server import prepare, run_controllers
from rke2.boot.node import Node
from rke2.components.registration import register
from rke2.content.charts import packaged


async def controllers(node: Node) -> None:
    """Bring roles and custom resources up to date, then leave the controllers running."""
    prepared = asyncio.Event()
    node.services.create_task(_controllers(node, prepared), name="controllers")
    await prepared.wait()
    node.core_ready.set()


async def _controllers(node: Node, prepared: asyncio.Event) -> None:
    async with node.supervisor() as client:
        await prepare(client)
        prepared.set()
        names = [chart.name for chart in packaged(node.content.charts)]
        await run_controllers(client, node.config, names)


async def own_node(node: Node) -> None:
    """Wait for the kubelet to register the node, then label and annotate it."""
    async with node.supervisor() as client:
        await register(client, node.config, role_labels(node.config))
