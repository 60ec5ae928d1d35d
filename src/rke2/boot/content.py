"""The node's content: runtime image, packaged charts, image archives."""

from __future__ import annotations

import asyncio
import threading

from rke2.boot.node import Node
from rke2.content import charts as packaged
from rke2.content.runtime_image import ensure_runtime


async def runtime_image(node: Node) -> None:
    """Have the runtime image unpacked, found locally or pulled."""
    given_up = threading.Event()
    try:
        await asyncio.to_thread(
            ensure_runtime, node.config.paths, node.content.reference, given_up=given_up.is_set
        )
    finally:
        given_up.set()


async def charts(node: Node) -> None:
    """Put the packaged charts where the deploy controller looks."""
    await asyncio.to_thread(packaged.stage, node.content.charts, node.config)


async def images(node: Node) -> None:
    """Import what is in ``agent/images``, while the rest of the boot goes on."""
    await node.images.run()
