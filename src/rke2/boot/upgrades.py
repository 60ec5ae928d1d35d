"""Upgrades of this node that the leading server asks for."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from rke2.boot.node import Node
from rke2.installation import journal
from rke2.installation.begin import begin
from rke2.rollout.node_request import UpgradeRequest
from rke2.rollout.node_side import NodeUpgrades
from rke2.version import VERSION


async def follow(node: Node) -> None:
    """Do what the annotation of the own Node asks, until cancelled."""
    config, data_dir = node.config, node.config.paths.data_dir
    # A kubelet may write the annotations of its own Node, and of no other.
    async with node.supervisor() if config.server else node.kubelet() as client:
        work = NodeUpgrades(
            client, config.node.name, partial(_begin, data_dir), partial(journal.read, data_dir), VERSION
        )
        await work.run(lambda: None)


async def _begin(data_dir: Path, request: UpgradeRequest) -> None:
    plan = request.plan or None
    await asyncio.to_thread(begin, data_dir, request.version, plan=plan, stage_only=request.stage)
