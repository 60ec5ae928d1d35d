"""The servers of the cluster as a running node knows them: load balancers and tunnels follow their list."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial

from rke2.boot import membership
from rke2.boot.connections import client_context, kubelet_address
from rke2.boot.node import Node
from rke2.errors import EtcdError, JoinError
from rke2.kube import apiservers
from rke2.kube.client import Client
from rke2.lifecycle.progress import BalancedServer, ConnectionStatus
from rke2.lifecycle.service import Policy
from rke2.tunnel.authorizer import Authorizer, follow_own_node
from rke2.tunnel.client import TunnelAgent

log = logging.getLogger(__name__)

POLL = 5.0
"""Seconds between two questions for the first list."""
SETTLE = 1.0
"""Seconds a change of the list has to last: endpoints come and go in pairs."""


async def follow(node: Node) -> None:
    """Hold a tunnel to every supervisor, and give the load balancers the list of servers, from now on."""
    config = node.config
    authorizer = Authorizer(
        config.network.egress_selector_mode,
        kubelet_address=kubelet_address(config),
        node_ips=map(str, config.node.ips),
        cluster_cidrs=map(str, config.network.cluster_cidrs),
    )
    tunnel = TunnelAgent(partial(client_context, config), authorizer, node.connections.note)
    use = partial(_use, node, tunnel)
    # At once, with the servers of the last run: the one to ask for a list may be gone.
    use(node.connections.remembered())
    shown = partial(node.progress.follow_connections, partial(connection_status, node))
    node.services.keep("tunnels", tunnel.run, Policy.RESTART)
    node.services.keep("status of connections", shown, Policy.RESTART)
    node.services.keep("list of servers", partial(_keep_up, node, authorizer, use), Policy.RESTART)
    if config.server is None:
        node.services.once("readiness of the servers", partial(_await_core, node), Policy.RESTART)


def _use(node: Node, tunnel: TunnelAgent, apiservers: Iterable[str]) -> None:
    tunnel.set_servers(node.connections.set_apiservers(apiservers))


def connection_status(node: Node) -> ConnectionStatus:
    """Who is connected to this node, and to whom it is, now."""
    server = node.server_half
    etcd = (server.members_elsewhere,) if server and server.members_elsewhere else ()
    balancers = {
        balancer.name: [
            BalancedServer(each.address, each.state.name, each.connections) for each in balancer.snapshot()
        ]
        for balancer in (*node.connections.balancers, *etcd)
    }
    agents = server.tunnel.nodes() if server else {}
    return ConnectionStatus(agents, node.connections.tunnels(), balancers)


async def _keep_up(node: Node, authorizer: Authorizer, use: Callable[[Iterable[str]], None]) -> None:
    if not node.config.runs_apiserver:
        use(await _first_list(node))
    await node.core_ready.wait()
    async with node.controller() as controller, node.kubelet() as kubelet, asyncio.TaskGroup() as tasks:
        tasks.create_task(follow_own_node(kubelet, node.config.node.name, authorizer))
        tasks.create_task(_watch(controller, use))


async def _first_list(node: Node) -> list[str]:
    """The first list that is not empty: from a supervisor, or on a server without API server from etcd."""
    while True:
        try:
            found = await (_from_etcd(node) if node.config.server else _from_supervisor(node))
            if found:
                return found
        except (JoinError, EtcdError) as error:
            log.debug("list of servers: %s", error)
        await asyncio.sleep(POLL)


async def _from_supervisor(node: Node) -> list[str]:
    return await (await membership.supervisor(node)).apiservers()


async def _from_etcd(node: Node) -> list[str]:
    stored = await node.server.etcd.get(apiservers.KEY)
    return apiservers.decode(stored.value if stored else None)


async def _watch(client: Client, use: Callable[[Iterable[str]], None]) -> None:
    """The endpoints of the Service ``kubernetes``, as its API servers publish them."""
    changed = asyncio.Event()
    slices = apiservers.endpoints(client)
    slices.listen(lambda change: changed.set())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(slices.run())
        while True:
            await changed.wait()
            # Before it is cleared: all changes that come meanwhile are answered by the look below.
            await asyncio.sleep(SETTLE)
            changed.clear()
            addresses = apiservers.ready_addresses(slices.objects.values())
            # Never an empty list: all tunnels would be closed because API servers are just starting.
            if addresses:
                use(addresses)


async def _await_core(node: Node) -> None:
    """Until a server says that the Kubernetes API can be used."""
    while True:
        try:
            await (await membership.supervisor(node)).ready()
            break
        except JoinError as error:
            log.debug("the servers are not ready: %s", error)
        await asyncio.sleep(POLL)
    node.core_ready.set()
