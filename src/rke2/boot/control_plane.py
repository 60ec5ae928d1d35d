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
import contextlib
import logging
from functools import partial

from rke2.boot import runtime
from rke2.boot.explaining import explained
from rke2.boot.node import Node
from rke2.config.model import APISERVER_PORT
from rke2.content.references import image
from rke2.errors import KubeError
from rke2.etcd import member_files
from rke2.host.ports import find_listener
from rke2.kube.checks import FAILED
from rke2.lifecycle.service import Policy
from rke2.lifecycle.waiting import until
from rke2.staticpods import (
    kube_apiserver,
    kube_controller_manager,
    kube_proxy,
    kube_scheduler,
    writer,
)
from rke2.staticpods.pod import StaticPod
from rke2.staticpods.reconcile import reconcile, remove_static_pods

log = logging.getLogger(__name__)

REMOTE = "remote API server"
"""Name of the phase of a server that has none of its own."""

POLL = 0.1
"""Seconds between two questions to a component that is coming up."""

CONNECT_SECONDS = 1.0
SERVICES_SECONDS = 15.0
"""Limit of the wait for kube-proxy: without it the node only comes up more slowly."""

_ORDER = (
    ("kube-apiserver", (2379, APISERVER_PORT)),
    ("kube-controller-manager", (APISERVER_PORT,)),
    ("kube-scheduler", (APISERVER_PORT,)),
    ("kube-proxy", (APISERVER_PORT,)),
)
"""Pods, and the ports that must be served before the kubelet may start them.

An API server that does not serve its own port has to wait, too. A kubelet that finds one manifest of it and then
another starts the new pod only when it has put away the volumes of the old one. For that it may ask the API server,
which does not run.
"""


def hold_back(node: Node) -> None:
    """Before the kubelet starts: take away the manifests whose turn has not come.

    After a reboot nothing runs, and pods started out of order would crash into their restart back-off. After
    a restart of rke2 alone everything runs: nothing is taken away, so nothing is restarted.
    """
    for name, ports in _ORDER:
        if any(find_listener(port) is None for port in ports):
            writer.remove(node.config.paths, name)


async def forget_former_member(node: Node) -> None:
    """Take the pods of a member away whose data is gone, as where ``server/db`` was deleted to join anew.

    Else the kubelet starts the old pod, and the new one behind it: the old one keeps failing without its configuration
    file, and when it is cleared away the new one may go with it. RKE2 clears the same two pods away.
    """
    paths = node.config.paths
    if node.config.component("etcd").disabled or member_files.initialised(paths):
        return
    if writer.remove(paths, "etcd"):
        log.info("etcd has no data: clearing its former pod away")
        writer.remove(paths, "kube-apiserver")
        await remove_static_pods(node.cri, _OF_A_MEMBER)


_OF_A_MEMBER = ("etcd", "kube-apiserver")
"""Pods that know the data of a member."""


def may_be_held(node: Node) -> bool:
    """Whether the kubelet may be kept waiting for the API server instead of being refused.

    A kubelet that finds volumes of pods after a reboot asks the API server about them between any two steps of
    mounting others. Kept waiting, it would start etcd and kube-apiserver after half a minute each; refused, at once.
    """
    volumes = node.config.paths.kubelet_dir.glob("pods/*/volumes/*/*")
    return find_listener(APISERVER_PORT) is not None or not any(volumes)


async def kubelet(node: Node) -> None:
    """Start the kubelet with the manifests whose turn has come.

    Where the node has an API server of its own, the kubelet reaches it through the gate, which holds its first
    connections.
    """
    remove_disabled(node)
    if node.config.runs_apiserver:
        if may_be_held(node):
            await node.gate.start()
        node.services.at_the_end("gate", node.gate.close)
    await forget_former_member(node)
    await asyncio.to_thread(hold_back, node)
    await runtime.kubelet(node)


async def apiserver(node: Node) -> None:
    """Write kube-apiserver's manifest; wait until it is ready, then let the kubelet through to it.

    Not as soon as it serves: before its start-up hooks have made roles and priority classes, the
    controller-manager exits and the kubelet's mirror pods are refused for half a minute. After a reboot not
    before kube-proxy, either: see `proxy`.
    """
    egress = node.config.network.egress_selector_mode != "disabled"
    pod = kube_apiserver.pod(node.config, image(node.config, "kube-apiserver"), egress=egress)
    await show(node, "kube-apiserver", pod)
    await _until_ready(node)
    if node.gate.accepts or node.config.component("kube-proxy").disabled:
        await _let_through(node)
    uids = {name: writer.manifest_uid(node.config.paths, name) for name in ("etcd", "kube-apiserver")}
    await reconcile(node.cri, {name: uid for name, uid in uids.items() if uid})


async def remote(node: Node) -> None:
    """On a server without an API server: have the load balancers lead to one that is ready."""
    await node.connections.start()
    node.services.at_the_end("load balancers", node.connections.close)
    node.services.keep("load balancers", node.connections.run, Policy.RESTART)
    for each in node.connections.watched():
        node.liveness.watch(each)
    await _until_ready(node, REMOTE)


async def _refuses(address: str, port: int) -> str:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(address, port)
    except OSError:
        return f"{address} port {port} does not answer yet"
    writer.close()
    return ""


async def _until_ready(node: Node, phase: str = "kube-apiserver") -> None:
    async with node.supervisor() as client:

        async def missing() -> str:
            try:
                await client.raw("/readyz")
            except KubeError as error:
                return _failed_checks(error)
            return ""

        own = node.config.runs_apiserver
        condition = explained(node, "kube-apiserver", missing) if own else missing
        await until(condition, interval=POLL, say=partial(node.waiting, phase))


def _failed_checks(error: KubeError) -> str:
    """The checks that ``/readyz`` reports as failed, or the error itself if it is another one."""
    failed = error.message.partition(FAILED)[2]
    return f"kube-apiserver checks {failed}" if failed else error.message


async def controller_manager(node: Node) -> None:
    name = "kube-controller-manager"
    await show(node, name, kube_controller_manager.pod(node.config, image(node.config, name)))


async def scheduler(node: Node) -> None:
    name = "kube-scheduler"
    await show(node, name, kube_scheduler.pod(node.config, image(node.config, name)))


async def proxy(node: Node) -> None:
    """Write kube-proxy's manifest; after a reboot wait until services can be reached.

    The pods that were on the node before it went down are started as soon as the kubelet hears of them. Those of
    the network plugin ask the API server by its service, and would get no answer for half a minute.
    """
    name = "kube-proxy"
    await show(node, name, kube_proxy.pod(node.config, image(node.config, name)))
    if node.gate.is_open or not node.config.runs_apiserver:
        return
    address = str(node.config.network.service_cidrs[0][1])
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SERVICES_SECONDS):
            await until(
                lambda: _refuses(address, 443), interval=POLL, say=lambda reason: node.waiting(name, reason)
            )
    await _let_through(node)


async def agents_proxy(node: Node) -> None:
    """Write kube-proxy's manifest on a node without a control plane, unless the cluster runs without kube-proxy."""
    name = "kube-proxy"
    if node.config.component(name).disabled:
        writer.remove(node.config.paths, name)
        return
    await node.core_ready.wait()
    await show(node, name, kube_proxy.pod(node.config, image(node.config, name)))


async def _let_through(node: Node) -> None:
    await node.gate.start()
    if node.config.join:
        node.services.once("gate", partial(_open_with_images, node), Policy.RESTART)
    else:
        node.gate.open()


async def _open_with_images(node: Node) -> None:
    """Register the node only when its images are there.

    A cluster that runs gives a new node its DaemonSet pods at once, and the kubelet backs off from images that are
    still being imported. The first server has none of these to expect.
    """
    await node.images.finished()
    node.gate.open()


def remove_disabled(node: Node) -> None:
    """Take away the manifests of components that are switched off."""
    for name, settings in node.config.components.items():
        if settings.disabled:
            writer.remove(node.config.paths, name)


async def show(node: Node, phase: str, pod: StaticPod) -> None:
    """Write a pod's manifest as soon as its image is there; `phase` tells the operator what is waited for."""
    for reference in (image(node.config, "pause"), pod.image):
        if node.images.pending(reference):
            node.waiting(phase, f"image {reference} to be imported")
        await node.images.available(reference)
        if not node.images.provides(reference):
            await node.pulls.ensure(reference, partial(node.waiting, phase))
    mode = writer.manifest_mode(node.config)
    written = await asyncio.to_thread(writer.write, pod, node.config.paths, mode=mode)
    node.waiting(phase, f"pod {pod.name} to start" if written.changed else f"pod {pod.name} to answer")
