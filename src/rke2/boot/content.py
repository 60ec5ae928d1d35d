"""The node's content: runtime image, packaged charts, image archives."""

from __future__ import annotations

import asyncio
import logging
import threading
from functools import partial

from rke2.boot.host import use_programs
from rke2.boot.node import Node
from rke2.content.images.pull import pull_image
from rke2.content.runtime import charts as packaged
from rke2.content.runtime.image import ensure_runtime, has_runtime, missing_runtime, pull_directory
from rke2.content.runtime.references import archived_name, image
from rke2.errors import ContentError
from rke2.lifecycle.service import Policy
from rke2.registry.meter import Meter, steps
from rke2.registry.patience import PullPatience
from rke2.registry.pull import PulledImage

log = logging.getLogger(__name__)

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")

PATIENCE = PullPatience(rounds=3)
"""The service manager starts a node again that could not reach its registries."""


async def runtime_image(node: Node) -> None:
    """Have the runtime image unpacked, found locally or pulled, and use its programs where the host has none."""
    paths, reference = node.config.paths, node.content.reference
    archived = archived_name(node.config, "runtime")
    here = await asyncio.to_thread(has_runtime, paths, reference, archived)
    pulled = None if here else await _pull_runtime(node)
    # A thread cannot be cancelled: this ends the unpacking when the boot ends.
    given_up = threading.Event()
    try:
        await asyncio.to_thread(
            ensure_runtime, paths, reference, pulled, archived=archived, given_up=given_up.is_set
        )
    finally:
        given_up.set()
    await asyncio.to_thread(use_programs, node)


async def _pull_runtime(node: Node) -> PulledImage:
    """Fetch the runtime image, its progress shown."""
    paths, reference = node.config.paths, node.content.reference
    say = partial(node.waiting, "content")
    meter = Meter(steps(lambda text: say(f"pulling {reference}: {text}")))
    say(f"pulling {reference}")
    try:
        return await pull_image(
            node.config.images,
            reference,
            pull_directory(paths),
            meter=meter,
            say=say,
            patience=PATIENCE,
            runtime=node.config.runtime,
        )
    except ContentError as error:
        raise missing_runtime(paths, reference, error) from error


async def charts(node: Node) -> None:
    """Put the packaged charts where the deploy controller looks."""
    await asyncio.to_thread(packaged.stage, node.content.charts, node.config)


async def images(node: Node) -> None:
    """Import what is in ``agent/images``, while the rest of the boot goes on; begin to pull what is not there.

    From then on, what is added to the directory is imported, too.
    """
    await node.images.run()
    # After the first round, not beside it: two would import the same archives.
    node.services.once("images", node.images.watch, Policy.RESTART)
    for reference in dict.fromkeys(image(node.config, name) for name in ("pause", *_static_pods(node))):
        if not node.images.provides(reference):
            pull = partial(node.pulls.ensure, reference, log.debug)
            # The phase of a pod asks for its image again: this one only comes earlier.
            node.services.once(f"pull of {reference}", pull, Policy.DEGRADE)


def _static_pods(node: Node) -> list[str]:
    """The components that run from images on this node."""
    possible = (*CONTROL_PLANE, "kube-proxy") if node.config.server else ("kube-proxy",)
    return [name for name in possible if not node.config.component(name).disabled]
