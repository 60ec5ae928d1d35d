"""Replacing the etcd and the kube-apiserver that run, when a restart of rke2 makes other pods of them (ADR 0041).

::

    its proxy:  open ─────────────────────────────────────┐ refuses ─────────────┐ holds ──────────┐ open
    kubelet:    spawned ── has met the earlier API server │ begins the new pods  │                 │
    the API:    the earlier one ──────────────────────────┴ away ────────────────┴─ new one begun ─┴ ready

The kubelet asks the API server for its Node before it mounts the second volume of its life: so it meets the earlier
one. Before it begins a static pod it asks to have a mirror of it made: refused, it goes on, kept waiting, it begins the
pod ten seconds later. And with every refusal its clients come back later: so they are kept waiting as soon as they may.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from datetime import datetime
from functools import partial

from rke2.boot import static_pods
from rke2.boot.node import Node
from rke2.errors import KubeError, RKE2Error
from rke2.kube.client import Client
from rke2.kube.resources import LEASES
from rke2.lifecycle.waiting import until
from rke2.staticpods.pod import StaticPod

log = logging.getLogger(__name__)

REPLACED = frozenset({"etcd", "kube-apiserver"})

IMAGES_SECONDS = 3.0
"""So long the images of the new pods may take to be there; if they take longer, pods are replaced one by one."""
MEET_SECONDS = 20.0
"""Limit of the wait for the kubelet to meet the earlier API server."""
SETTLE_SECONDS = 0.3
"""From the kubelet's first word to the API server to what it asks for its volumes, begun at the same time."""
POLL = 0.1


async def at_hand(node: Node, changed: Iterable[str]) -> tuple[StaticPod, ...]:
    """The pods of these components, if all of them can be begun at once; else none."""
    try:
        # In threads: planning reads and hashes files, and writes etcd's configuration.
        pods = [await asyncio.to_thread(static_pods.planned, node.config, name) for name in sorted(changed)]
        known = tuple(pod for pod in pods if pod)
        images = {reference for pod in known for reference in static_pods.images(node, pod)}
        async with asyncio.timeout(IMAGES_SECONDS):
            there = [await _is_there(node, reference) for reference in images]
    except (TimeoutError, RKE2Error, OSError):
        # The phase of the pod waits for its image, and tells what is wrong.
        return ()
    return known if len(known) == len(pods) and all(there) else ()


async def _is_there(node: Node, reference: str) -> bool:
    await node.images.available(reference)
    return node.images.provides(reference) or await node.pulls.holds(reference)


async def replace(node: Node, pods: Iterable[StaticPod], since: float) -> None:
    """End the earlier pods and show the kubelet the new ones, all at once: who waits for them waits for the longest.

    kube-apiserver may come up before etcd; it asks for it for a minute.

    Args:
        since: Unix time before which this kubelet was not there.
    """
    # While the earlier API server answers: without it the kubelet would not mount its second volume.
    await _met(node, since)
    # Before the pods end: a kubelet that is held, not refused, begins each static pod ten seconds later.
    await node.local_api.pause()
    async with asyncio.TaskGroup() as tasks:
        for pod in pods:
            tasks.create_task(static_pods.show(node, "kubelet", pod))


async def _met(node: Node, since: float) -> None:
    """Wait until the kubelet has spoken to the API server; not without end, as that may be ill."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(MEET_SECONDS), node.supervisor() as client:
            await until(
                partial(_unmet, client, node.config.node.name, since),
                interval=POLL,
                say=partial(node.waiting, "kubelet"),
            )
            await asyncio.sleep(SETTLE_SECONDS)


async def _unmet(client: Client, name: str, since: float) -> str:
    try:
        lease = await client.get(LEASES, name, "kube-node-lease")
    except KubeError as error:
        return error.message
    renewed = datetime.fromisoformat(lease["spec"]["renewTime"])
    return "" if renewed.timestamp() >= since else "the kubelet to reach the API server"
