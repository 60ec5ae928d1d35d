"""The control plane as static pods. Each manifest is written the moment its condition holds:

::

    kubelet ──> etcd ──> kube-apiserver ──┬──> kube-controller-manager
                                          ├──> kube-scheduler
                                          └──> kube-proxy

A pod is shown to the kubelet only when its image is there: the kubelet backs off for ten seconds from an image
that is still being imported.
"""

from __future__ import annotations

import asyncio
import logging
import re

from rke2.boot.node import Node
from rke2.content.references import image
from rke2.errors import KubeError
from rke2.etcd.health import member_health
from rke2.host.ports import find_listener
from rke2.join.credentials import ensure_etcd_name
from rke2.kube.client import Client
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
from rke2.staticpods.pod import StaticPod
from rke2.staticpods.reconcile import reconcile

log = logging.getLogger(__name__)

POLL = 0.1
"""Seconds between two questions to a component that is coming up."""

_ORDER = (
    ("kube-apiserver", 2379),
    ("kube-controller-manager", 6443),
    ("kube-scheduler", 6443),
    ("kube-proxy", 6443),
)
"""Pods, and the port that must be served before the kubelet may start them."""


def hold_back(node: Node) -> None:
    """Before the kubelet starts: take away the manifests whose turn has not come.

    After a reboot nothing runs, and pods started out of order would crash into their restart back-off. After
    a restart of rke2 alone everything runs: nothing is taken away, so nothing is restarted.
    """
    for name, port in _ORDER:
        if find_listener(port) is None:
            writer.remove(node.config.paths, name)


async def etcd(node: Node) -> None:
    """Write etcd's configuration and manifest; wait until the member is a healthy voter."""
    config, paths = node.config, node.config.paths
    name = ensure_etcd_name(config)
    initial = etcd_pod.previous_options(paths) or etcd_config.single_member(config, name)
    timing = etcd_config.CLUSTER if "," in initial.cluster else etcd_config.ALONE
    etcd_config.write(config, etcd_config.document(config, name, initial, timing=timing))
    pod = etcd_pod.pod(config, image(config, "etcd"), initial, run_as=etcd_pod.prepare_user(config))
    await _show(node, "etcd", pod)
    await until(member_health, interval=POLL, say=lambda reason: node.waiting("etcd", reason))


async def apiserver(node: Node) -> None:
    """Write kube-apiserver's manifest; wait until it is ready, then let the kubelet through to it.

    Not as soon as it serves: before its start-up hooks have made roles and priority classes, the
    controller-manager exits and the kubelet's mirror pods are refused for half a minute.
    """
    await _show(node, "kube-apiserver", kube_apiserver.pod(node.config, image(node.config, "kube-apiserver")))
    await _until_ready(node)
    node.gate.open()
    uids = {name: writer.manifest_uid(node.config.paths, name) for name in ("etcd", "kube-apiserver")}
    await reconcile(node.cri, {name: uid for name, uid in uids.items() if uid})


async def _until_ready(node: Node) -> None:
    async with Client(node.config.paths.cred / "supervisor.kubeconfig") as client:

        async def missing() -> str:
            try:
                await client.raw("/readyz")
            except KubeError as error:
                return _failed_checks(error)
            return ""

        await until(missing, interval=POLL, say=lambda reason: node.waiting("kube-apiserver", reason))


def _failed_checks(error: KubeError) -> str:
    """The checks that ``/readyz`` reports as failed, or the error itself if it is another one."""
    failed = re.findall(r"\[-\](\S+)", error.message)
    return f"kube-apiserver checks {', '.join(failed)}" if failed else error.message


async def controller_manager(node: Node) -> None:
    name = "kube-controller-manager"
    await _show(node, name, kube_controller_manager.pod(node.config, image(node.config, name)))


async def scheduler(node: Node) -> None:
    name = "kube-scheduler"
    await _show(node, name, kube_scheduler.pod(node.config, image(node.config, name)))


async def proxy(node: Node) -> None:
    name = "kube-proxy"
    await _show(node, name, kube_proxy.pod(node.config, image(node.config, name)))


def remove_disabled(node: Node) -> None:
    """Take away the manifests of components that are switched off."""
    for name, settings in node.config.components.items():
        if settings.disabled:
            writer.remove(node.config.paths, name)


async def _show(node: Node, phase: str, pod: StaticPod) -> None:
    for reference in (image(node.config, "pause"), pod.image):
        if node.images.pending(reference):
            node.waiting(phase, f"image {reference} to be imported")
        await node.images.available(reference)
    mode = writer.manifest_mode(node.config)
    written = await asyncio.to_thread(writer.write, pod, node.config.paths, mode=mode)
    node.waiting(phase, f"pod {pod.name} to start" if written.changed else f"pod {pod.name} to answer")
