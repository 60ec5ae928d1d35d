"""The static pods of this node as this start writes them.

What they will be is found out before the kubelet is there. One that has seen another manifest of a pod knows two pods
of one name; it begins the second when it has put away the first with its volumes, for which it may ask an API server
that does not run (ADR 0041).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial

from rke2.boot.node import Node
from rke2.config.model import NodeConfig
from rke2.content.runtime.references import image
from rke2.errors import RKE2Error
from rke2.etcd import member_files, timing
from rke2.etcd.membership import Self
from rke2.host.ports import find_listener
from rke2.join.credentials import ensure_etcd_name
from rke2.lifecycle.waiting import until
from rke2.staticpods import etcd as etcd_pod
from rke2.staticpods import (
    etcd_config,
    kube_apiserver,
    kube_controller_manager,
    kube_proxy,
    kube_scheduler,
    writer,
)
from rke2.staticpods.etcd_config import InitialOptions
from rke2.staticpods.pod import StaticPod
from rke2.staticpods.reconcile import make_room

log = logging.getLogger(__name__)

POLL = 0.1
"""Seconds between two looks at a kubelet that is coming up."""
KUBELET_PORT = 10250
KUBELET_SECONDS = 20.0
"""Limit of the wait for it, before it is given something to replace."""


def etcd(config: NodeConfig, own: Self, initial: InitialOptions) -> StaticPod:
    """This server's member. Writes its configuration file, whose content is part of the pod.

    Raises:
        HostError: a hardening profile asks for a user that does not exist.
        ConfigError: an ``etcd-arg`` value has not the type its key needs.
        OSError: a file cannot be written or given to that user.
    """
    content = etcd_config.document(config, own.name, initial, timing=timing.initial(config, initial))
    etcd_config.write(config, content)
    # After the file is written: `prepare_user` gives it to the user that etcd runs as under a profile.
    return etcd_pod.pod(config, image(config, "etcd"), initial, run_as=etcd_pod.prepare_user(config))


def earlier_options(config: NodeConfig, own: Self) -> InitialOptions | None:
    """The initial options of the member whose data is on this server; None without data: then others have a say."""
    if not member_files.initialised(config.paths):
        return None
    return etcd_pod.previous_options(config.paths) or etcd_config.single_member(config, own.name)


def _etcd_with_data(config: NodeConfig) -> StaticPod | None:
    own = Self.of(config, ensure_etcd_name(config))
    initial = earlier_options(config, own)
    return etcd(config, own, initial) if initial else None


def apiserver(config: NodeConfig) -> StaticPod:
    egress = config.network.egress_selector_mode != "disabled"
    return kube_apiserver.pod(config, image(config, kube_apiserver.NAME), egress=egress)


def controller_manager(config: NodeConfig) -> StaticPod:
    return kube_controller_manager.pod(config, image(config, kube_controller_manager.NAME))


def scheduler(config: NodeConfig) -> StaticPod:
    return kube_scheduler.pod(config, image(config, kube_scheduler.NAME))


def proxy(config: NodeConfig) -> StaticPod:
    return kube_proxy.pod(config, image(config, kube_proxy.NAME))


_PODS: dict[str, Callable[[NodeConfig], StaticPod | None]] = {
    etcd_pod.NAME: _etcd_with_data,
    kube_apiserver.NAME: apiserver,
    kube_controller_manager.NAME: controller_manager,
    kube_scheduler.NAME: scheduler,
    kube_proxy.NAME: proxy,
}

NAMES = tuple(_PODS)
"""Every component that may run as a static pod."""


def planned(config: NodeConfig, name: str) -> StaticPod | None:
    """A component's pod, as far as it is known before the phase that writes it; None if it is not.

    Raises:
        RKE2Error, OSError: as that phase will.
    """
    return _PODS[name](config)


def withdraw_changed(config: NodeConfig) -> frozenset[str]:
    """Take away every manifest that is not what this start will write; returns whose they were.

    Certificates and kubeconfigs must be as they will be: their content is part of the pods.
    """
    changed = frozenset(name for name, pod in _PODS.items() if _is_changed(config, name, pod))
    for name in changed:
        writer.remove(config.paths, name)
    return changed


def _is_changed(config: NodeConfig, name: str, build: Callable[[NodeConfig], StaticPod | None]) -> bool:
    if not config.paths.pod_manifest(name).exists():
        return False
    try:
        pod = build(config)
        return pod is None or not writer.manifest(pod, config.paths).in_place
    except (RKE2Error, OSError) as error:
        # Its own phase tells what is to be done. Until then a pod of which nobody knows what it will be is not started.
        log.debug("static pod %s: what it will be is not known yet: %s", name, error)
        return True


async def show(node: Node, phase: str, pod: StaticPod) -> None:
    """Write a pod's manifest as soon as its image is there; `phase` tells the operator what is waited for.

    What runs of an earlier pod of that name goes first.
    """
    for reference in images(node, pod):
        if node.images.pending(reference):
            node.waiting(phase, f"image {reference} to be imported")
        # Archives first: an image that is about to be imported is not pulled.
        await node.images.available(reference)
        if not node.images.provides(reference):
            await node.pulls.ensure(reference, partial(node.waiting, phase))
    # Once: the sandboxes that have to go and the uid that is written must be of the same plan.
    planned = await asyncio.to_thread(writer.manifest, pod, node.config.paths)
    # What is right already runs on; a sandbox that was left beside it is found by `reconcile`.
    if not planned.in_place:
        await make_room(node.cri, pod.name, planned.uid, partial(_kubelet_is_up, node, phase))
    mode = writer.manifest_mode(node.config)
    written = await asyncio.to_thread(writer.put, planned, node.config.paths, mode=mode)
    node.waiting(phase, f"pod {pod.name} to start" if written.changed else f"pod {pod.name} to answer")


def images(node: Node, pod: StaticPod) -> tuple[str, ...]:
    """What must be in the runtime before the kubelet may begin the pod."""
    return image(node.config, "pause"), pod.image


async def _kubelet_is_up(node: Node, phase: str) -> None:
    """Wait until the kubelet can begin a pod at once: what it replaces serves until then.

    Not without end: it may be told to listen elsewhere.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(KUBELET_SECONDS):
            await until(_kubelet_listens, interval=POLL, say=partial(node.waiting, phase))


async def _kubelet_listens() -> str:
    return "" if await asyncio.to_thread(find_listener, KUBELET_PORT) else "the kubelet to come up"
