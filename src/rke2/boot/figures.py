"""Everything this node tells a monitoring system: the figures of all its parts, collected when somebody asks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

from rke2.boot.node import Node, ServerHalf
from rke2.controllers.certificate_monitor import certificate_files
from rke2.errors import RKE2Error
from rke2.lifecycle import metrics as lifecycle
from rke2.loadbalancer import metrics as loadbalancer
from rke2.metrics import process
from rke2.metrics.exposition import text
from rke2.metrics.families import Family
from rke2.pki import metrics as pki
from rke2.snapshots import metrics as snapshots
from rke2.snapshots.taking import Snapshots
from rke2.tunnel import metrics as tunnel


async def answer(node: Node) -> str:
    """The figures of `node`, as Prometheus reads them."""
    files = certificate_files(node.config)
    certificates = await asyncio.to_thread(pki.families, files, datetime.now(UTC))
    of_server = await _of_server(node.server_half) if node.server_half else ()
    return text([*certificates, *_of_every_node(node), *of_server])


def _of_every_node(node: Node) -> Iterable[Family]:
    balancers = node.connections.balancers
    yield from process.families()
    yield from lifecycle.families(node.progress.status)
    yield from tunnel.to_servers(node.connections.tunnel_states())
    yield from loadbalancer.families(
        {each.name: each.snapshot() for each in balancers}, [each.dials for each in balancers]
    )


async def _of_server(half: ServerHalf) -> list[Family]:
    families = [*tunnel.of_agents(half.tunnel.opened, half.tunnel.nodes())]
    if half.members_elsewhere:
        families += loadbalancer.families(
            {half.members_elsewhere.name: half.members_elsewhere.snapshot()}, half.members_elsewhere.dials
        )
    if half.snapshots:
        families += half.snapshots.durations.families()
        families += await _of_files(half.snapshots)
    return families


async def _of_files(taken: Snapshots) -> Iterable[Family]:
    """Nothing if the directory cannot be read, which `rke2 status` tells: an alert on what is absent goes off."""
    try:
        return snapshots.of_files(await taken.inventory())
    except RKE2Error:
        return ()
