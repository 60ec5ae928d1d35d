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
import time
from functools import partial

from rke2.boot import replacement, runtime, static_pods
from rke2.boot.explaining import Condition, explained
from rke2.boot.node import Node
from rke2.config.model import APISERVER_PORT
from rke2.errors import KubeError
from rke2.etcd import member_files
from rke2.host.ports import find_listener
from rke2.kube.checks import FAILED
from rke2.lifecycle.service import Policy
from rke2.lifecycle.waiting import until
from rke2.staticpods import kube_controller_manager, kube_scheduler, writer
from rke2.staticpods.back_off import end_back_off, keep_out_of_back_off
from rke2.staticpods.pod import StaticPod
from rke2.staticpods.reconcile import reconcile
from rke2.staticpods.removal import take_away

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


def hold_back(node: Node) -> frozenset[str]:
    """Before the kubelet starts: take away the manifests whose turn has not come, and those that have changed.

    After a reboot nothing runs, and pods started out of order would crash into their restart back-off. After
    a restart of rke2 alone everything runs, and what is as it was is left alone: it is not restarted. A kubelet must
    not see the earlier manifest of a pod that changes (`rke2.boot.static_pods`).

    Returns:
        Which of etcd and kube-apiserver will be other pods, where an API server serves until then.
    """
    serving = find_listener(APISERVER_PORT) is not None
    changed = static_pods.withdraw_changed(node.config)
    for name, ports in _ORDER:
        if any(find_listener(port) is None for port in ports):
            writer.remove(node.config.paths, name)
    return changed & replacement.REPLACED if serving else frozenset()


async def forget_former_member(node: Node) -> None:
    """Take the pods of a member away whose data is gone, as where ``server/db`` was deleted to join again.

    Else the kubelet starts the old pod, and the new one behind it: the old one keeps failing without its configuration
    file, and when it is cleared away the new one may go with it. RKE2 clears the same two pods away.
    """
    paths = node.config.paths
    if node.config.component("etcd").disabled or member_files.initialised(paths):
        return
    if paths.pod_manifest("etcd").exists():
        log.info("etcd has no data: clearing its former pod away")
        await take_away(node.cri, paths, _OF_A_MEMBER)


async def restart_if_told(node: Node) -> None:
    """Clear every static pod away if ``rke2 certificate rotate`` has left its marker: they are begun as after a reboot.

    A file that was deleted and written again is another one than the file that a running pod has mounted.
    """
    paths = node.config.paths
    if not paths.force_restart.exists():
        return
    log.info("restarting all static pods: %s is there", paths.force_restart)
    await take_away(node.cri, paths, static_pods.NAMES)
    # Last: whoever is ended before has to do it all again.
    paths.force_restart.unlink()


_OF_A_MEMBER = ("etcd", "kube-apiserver")
"""Pods that know the data of a member."""


def may_be_held(node: Node, *, replaced: bool) -> bool:
    """Whether the kubelet may be kept waiting for the API server instead of being refused.

    A kubelet that finds volumes of earlier pods asks the API server about them between any two steps of
    mounting others. Kept waiting, it would start etcd and kube-apiserver after half a minute each; refused, at once.

    Args:
        replaced: the API server that runs, or its etcd, will be another pod.
    """
    if find_listener(APISERVER_PORT) is not None and not replaced:
        return True
    return not any(node.config.paths.kubelet_dir.glob("pods/*/volumes/*/*"))


async def kubelet(node: Node) -> None:
    """Start the kubelet with the manifests whose turn has come.

    Where the node has an API server of its own, the kubelet reaches it through the local API proxy, which holds its
    first connections.
    """
    # All of this before the kubelet is spawned: what it has once seen, it has to put away first (ADR 0041).
    remove_disabled(node)
    await forget_former_member(node)
    await restart_if_told(node)
    changed = await asyncio.to_thread(hold_back, node)
    replaced = await replacement.at_hand(node, changed)
    if node.config.runs_apiserver:
        # Otherwise the local API proxy refuses until /readyz answers, which here is quicker than to hold (ADR 0005).
        if replaced or may_be_held(node, replaced=bool(changed)):
            await node.local_api.start()
        # Told before the kubelet is started: what is begun later ends earlier,
        # and the kubelet still needs the local API proxy.
        node.services.at_the_end("local API proxy", node.local_api.close)
    if replaced:
        node.local_api.open()
    # By the clock on the wall, as it is compared with the Lease that this machine's kubelet writes.
    since = time.time()
    await runtime.kubelet(node)
    if replaced:
        await replacement.replace(node, replaced, since)


async def agents_kubelet(node: Node) -> None:
    """Start the kubelet of a node without a control plane."""
    await restart_if_told(node)
    await asyncio.to_thread(static_pods.withdraw_changed, node.config)
    await runtime.kubelet(node)


async def apiserver(node: Node) -> None:
    """Write kube-apiserver's manifest; wait until it is ready, then let the kubelet through to it.

    Not as soon as it serves: before its start-up hooks have made roles and priority classes, the
    controller-manager exits and the kubelet's mirror pods are refused for half a minute. After a reboot not
    before kube-proxy, either: see `proxy`.
    """
    name = "kube-apiserver"
    await static_pods.show(node, name, static_pods.apiserver(node.config))
    # Before it is asked: until the earlier one is gone, that one would answer.
    await settled(node, name)
    # The new pod has begun: from here each further refusal only doubles the kubelet's next pause.
    if node.local_api.paused:
        await node.local_api.start()
    await _until_ready(node)
    # Before the kubelet is let through: afterwards it may start a container
    # in a sandbox that is being removed.
    await _end_back_offs(node)
    # After a reboot the local API proxy still refuses here; `proxy` opens it when services can be reached.
    if node.local_api.accepts or node.config.component("kube-proxy").disabled:
        await _let_through(node)


async def _nothing_else() -> str:
    return ""


async def settled(node: Node, name: str, answers: Condition = _nothing_else) -> None:
    """Wait until a component runs as the pod of its manifest and as no other, and answers.

    If the kubelet does not begin it, the kubelet is ended, and started again.

    Args:
        answers: says why it does not.
    """
    uid = writer.manifest_uid(node.config.paths, name)
    assert uid, "its manifest was written"
    lost = partial(node.services.restart, runtime.KUBELET)
    async with asyncio.TaskGroup() as tasks:
        reconciling = tasks.create_task(reconcile(node.cri, {name: uid}, lost=lost))

        async def missing() -> str:
            # In this order: an answer given before may be that of an earlier pod.
            alone = reconciling.done()
            return await answers() or ("" if alone else f"pod {name} to begin")

        await until(explained(node, name, missing), interval=POLL, say=partial(node.waiting, name))


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
        # Includes TimeoutError: without kube-proxy's rules nobody answers or refuses at a Service's address.
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


_LEADING = {
    kube_controller_manager.NAME: kube_controller_manager.PORT,
    kube_scheduler.NAME: kube_scheduler.PORT,
}
"""Components that end without an API server, and at once again until there is one, and their ports."""


async def _end_back_offs(node: Node) -> None:
    """Have the kubelet start them at once: what made them end is over.

    Before the kubelet is let through. Until then it begins nothing of theirs: it waits to make mirrors of them.
    """
    async with asyncio.TaskGroup() as tasks:
        for name, port in _LEADING.items():
            if writer.read(node.config.paths, name) and not await _listens(port):
                tasks.create_task(end_back_off(node.cri, name))


async def _listens(port: int) -> bool:
    return await asyncio.to_thread(find_listener, port) is not None


async def controller_manager(node: Node) -> None:
    await _leading(node, static_pods.controller_manager(node.config))


async def scheduler(node: Node) -> None:
    await _leading(node, static_pods.scheduler(node.config))


async def _leading(node: Node, pod: StaticPod) -> None:
    """Write the manifest; in the background, see to it that the kubelet does not hold the component back.

    It may have been started too early, or lose its lease just now.
    """
    await static_pods.show(node, pod.name, pod)
    answers = partial(_listens, _LEADING[pod.name])
    work = partial(keep_out_of_back_off, node.cri, pod.name, answers)
    node.services.once(f"back-off of {pod.name}", work, Policy.RESTART)


async def proxy(node: Node) -> None:
    """Write kube-proxy's manifest; after a reboot wait until services can be reached.

    The pods that were on the node before it went down are started as soon as the kubelet hears of them. Those of
    the network plugin ask the API server by its service, and would get no answer for half a minute.
    """
    name = "kube-proxy"
    await static_pods.show(node, name, static_pods.proxy(node.config))
    if node.local_api.is_open or not node.config.runs_apiserver:
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
        # The cluster may run without it only since this manifest was written.
        writer.remove(node.config.paths, name)
        return
    await node.core_ready.wait()
    await static_pods.show(node, name, static_pods.proxy(node.config))


async def _let_through(node: Node) -> None:
    await node.local_api.start()
    if node.config.join:
        node.services.once("local API proxy", partial(_open_with_images, node), Policy.RESTART)
    else:
        node.local_api.open()


async def _open_with_images(node: Node) -> None:
    """Register the node only when its images are there.

    A cluster that runs gives a new node its DaemonSet pods at once, and the kubelet backs off from images that are
    still being imported. The first server has none of these to expect.
    """
    await node.images.finished()
    node.local_api.open()


def remove_disabled(node: Node) -> None:
    """Take away the manifests of components that are switched off."""
    for name, settings in node.config.components.items():
        if settings.disabled:
            writer.remove(node.config.paths, name)
