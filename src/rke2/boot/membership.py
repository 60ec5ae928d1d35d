"""Becoming a node of a cluster: trust, settings and keys from a server that is one already, and the way back to it.

A node that was taken in before starts with what it was told then when no server answers: pods that run need none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from rke2.boot import restored
from rke2.boot.node import Node
from rke2.boot.process import StartAgain
from rke2.config.model import NodeConfig
from rke2.config.node import keep_node_id
from rke2.errors import JoinError
from rke2.etcd import member_files
from rke2.join import cached
from rke2.join.as_server import fetch_bootstrap, join_token
from rke2.join.client import Supervisor, connect
from rke2.join.cluster_config.adopt import with_cluster_settings
from rke2.join.credentials import ensure_node_password
from rke2.join.passwd import NODE_USER, SERVER_USER
from rke2.join.remote_signer import RemoteSigner
from rke2.kube.backoff import Backoff
from rke2.lifecycle.service import Policy
from rke2.pki.agent import ensure_agent_pki
from rke2.pki.kubeconfigs import ensure_agent_kubeconfigs

log = logging.getLogger(__name__)

T = TypeVar("T")

RETRY = 5.0
"""Seconds between two attempts, after quicker ones at first. (RKE2 waits 5 to 10 s from the beginning.)"""

_REFUSED = (400, 401, 403)
"""Answers that asking again does not change. A node that was a member before goes on asking all the same."""


# --- agents ----------------------------------------------------------------------------------------
async def join_as_agent(node: Node) -> NodeConfig:
    """Be taken in by a server; the configuration with what the cluster decides.

    Raises:
        JoinError: the server refuses this node, or is not of the token's cluster.
    """
    config = node.config
    await node.connections.start()
    node.services.at_the_end("load balancers", node.connections.close)
    # Before the node is taken in: the requests for that go through them already.
    node.services.keep("load balancers", node.connections.run, Policy.RESTART)
    for each in node.connections.watched():
        node.liveness.watch(each)
    await asyncio.to_thread(keep_node_id, config.node, config.paths.node_config_dir / "id")
    password = await asyncio.to_thread(ensure_node_password, config.paths)
    remembered = await asyncio.to_thread(cached.load, config)
    taken_in = partial(_taken_in, node, password)
    if remembered is None:
        return await _insisting(taken_in, partial(node.waiting, "cluster"), give_up=True)
    try:
        return await taken_in()
    except JoinError as error:
        log.warning("starting with what this node was told before: %s", error)
        node.services.once("joining", partial(_catch_up, taken_in, remembered), Policy.END_NODE)
        return remembered


async def _taken_in(node: Node, password: str) -> NodeConfig:
    """Trust, settings, certificates: the requests in the order of the supervisor reference (§5.4)."""
    supervisor = await _connect(node, NODE_USER)
    # Before the certificates: what is in them follows from the cluster's settings.
    answer = await supervisor.config()
    config = with_cluster_settings(node.config, answer)
    await ensure_agent_pki(config, RemoteSigner(supervisor, config.node, password))
    await asyncio.to_thread(ensure_agent_kubeconfigs, config)
    # Last: a node that was taken in by halves starts as a new one.
    await asyncio.to_thread(cached.store, config, answer)
    return config


async def _catch_up(taken_in: Callable[[], Awaitable[NodeConfig]], remembered: NodeConfig) -> None:
    """Ask until a server answers; what it says may differ from what is remembered."""
    config = await _insisting(taken_in, lambda reason: None, give_up=False)
    log.info("a server of the cluster answers again")
    if config != remembered:
        raise StartAgain("the settings of the cluster have changed")


# --- servers ---------------------------------------------------------------------------------------
async def join_as_server(node: Node) -> None:
    """Have the keys of the cluster to join on disk; nothing to do on a server that joins none.

    Raises:
        JoinError: the server to join refuses this one, is of another cluster, or is configured for another one.
    """
    config = node.config
    # First: if the cluster was restored elsewhere, keys and data here are of the one before.
    await restored.ask_first(node)
    member_files.set_aside_removed(config.paths, joins=config.join is not None)
    if config.join is None:
        return
    if config.server and config.server.rejoin and not config.server.rejoin.aside:
        await restored.take_keys(node, config.server.rejoin.id)
        return
    fetch = partial(_fetch, node)
    if not _joined_before(config):
        await _insisting(fetch, partial(node.waiting, "cluster"), give_up=True)
        return
    try:
        await fetch()
    except JoinError as error:
        # Such as a wrong token: with the keys on disk this server would go on as one of another cluster.
        if error.final:
            raise
        log.warning("starting with the keys on disk: %s", error)


def _joined_before(config: NodeConfig) -> bool:
    return (config.paths.tls / "client-ca.key").exists() and config.paths.token.exists()


async def _fetch(node: Node) -> None:
    await fetch_bootstrap(await _connect(node, SERVER_USER), node.config)


async def supervisor(node: Node) -> Supervisor:
    """A server of the cluster, for an agent that is a member.

    Raises:
        JoinError: none answers.
    """
    return await _connect(node, NODE_USER)


async def until_connected(node: Node, phase: str) -> Supervisor:
    """The server to join, as soon as it answers."""
    return await _insisting(partial(_connect, node, SERVER_USER), partial(node.waiting, phase), give_up=False)


async def until_told(node: Node, phase: str, question: Callable[[Supervisor], Awaitable[T]]) -> T:
    """What the server to join answers, as soon as it can."""

    async def ask() -> T:
        return await question(await _connect(node, SERVER_USER))

    return await _insisting(ask, partial(node.waiting, phase), give_up=False)


# --- both ------------------------------------------------------------------------------------------
async def _connect(node: Node, user: str) -> Supervisor:
    config = node.config
    assert config.join is not None
    identity = config.paths.agent / "client-kubelet"
    if config.server:
        return await connect(config.join.server_url, join_token(config), user)
    try:
        return await connect(node.connections.url, config.join.token, user, identity=identity)
    except JoinError as error:
        # The operator knows the server's address; that of the load balancer on the way says nothing.
        message = f"server {config.join.server_url}: {error.message}"
        raise JoinError(message, error.remedy, status=error.status, final=error.final) from error


async def _insisting(ask: Callable[[], Awaitable[T]], say: Callable[[str], None], *, give_up: bool) -> T:
    """The answer of `ask`, however often it takes.

    Args:
        give_up: not if the server has understood the question and refuses.
    """
    pause = Backoff(0.5, RETRY)
    while True:
        try:
            return await ask()
        except JoinError as error:
            # A known node asks on: its token may be put right on the servers, and its pods run meanwhile.
            if give_up and (error.status in _REFUSED or error.final):
                raise
            say(error.message)
        await pause.sleep()
