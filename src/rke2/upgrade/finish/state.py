"""What raising etcd goes by: every member, its server's Node, and what that server could run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from rke2.config.paths import Paths
from rke2.errors import EtcdError, JoinError
from rke2.etcd.client import EtcdClient
from rke2.etcd.exchange import EtcdChoice, EtcdWish
from rke2.etcd.members import node_of
from rke2.etcd.messages import Member, StatusResponse
from rke2.etcd.minor import EtcdMinor
from rke2.join.client import PREFIX, Supervisor, connect
from rke2.join.passwd import SERVER_USER
from rke2.recovery.peers import url_of
from rke2.staticpods.etcd_config import CLIENT_PORT
from rke2.status.api import Api
from rke2.status.asking import FAILURES, reason
from rke2.upgrade.facts import NodeFacts
from rke2.upgrade.looking import node_facts

TIMEOUT = 10.0
_CHOICE, _EXCHANGE = f"{PREFIX}/etcd", f"{PREFIX}/etcd/exchange"


@dataclass(frozen=True)
class ServerState:
    """A server with a member.

    Args:
        node: its name; `host` is its address.
        status: what its member says; None if it does not answer.
        choice: which etcd it could run; None if its supervisor does not answer.
        learner: the member has no vote.
    """

    node: str
    host: str
    status: StatusResponse | None = None
    choice: EtcdChoice | None = None
    learner: bool = False

    @property
    def minor(self) -> EtcdMinor | None:
        """Of the etcd that runs."""
        return EtcdMinor.parse(self.status.version) if self.status else None

    @property
    def storage(self) -> EtcdMinor | None:
        """Of the data."""
        return EtcdMinor.parse(self.status.storage_version) if self.status else None

    @property
    def leads(self) -> bool:
        return bool(self.status and self.status.leader == self.status.member_id)

    def troubles(self) -> Iterator[str]:
        """Why no member may be exchanged now."""
        if self.status is None:
            yield f"the member on {self.node} does not answer"
        elif self.learner or self.status.is_learner:
            yield f"the member on {self.node} is a learner"
        elif not self.status.leader:
            yield f"the member on {self.node} knows no leader"
        elif self.status.errors:
            yield f"the member on {self.node}: {', '.join(self.status.errors)}"
        if self.choice is None:
            yield f"rke2 on {self.node} does not answer on port 9345"


@dataclass(frozen=True)
class ClusterState:
    """All of them; `nodes` are those of the cluster, empty with `unasked`: why they could not be had."""

    servers: tuple[ServerState, ...]
    nodes: tuple[NodeFacts, ...] = ()
    unasked: str = ""

    def troubles(self) -> list[str]:
        """Why no member may be exchanged now; empty if nothing is in the way."""
        found = [words for server in self.servers for words in server.troubles()]
        found += [f"Nodes cannot be looked at: {self.unasked}"] if self.unasked else []
        servers = [node for node in self.nodes if node.server]
        found += [f"server {node.name} is not Ready" for node in servers if not node.ready]
        versions = {str(node.kubelet) for node in servers}
        if len(versions) > 1:
            told = ", ".join(f"{node.name} {node.kubelet}" for node in servers)
            found.append(f"the servers do not run the same release: {told}")
        return found


class EtcdServers:
    """The servers of a cluster with etcd, asked from one of them.

    Args:
        paths: of that server.
    """

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._last: tuple[Member, ...] = ()

    def client(self) -> EtcdClient:
        """Of this server's member first; while that restarts, of the others."""
        tls = self._paths.tls / "etcd"
        others = (url for member in self._last for url in member.client_urls)
        endpoints = [f"https://127.0.0.1:{CLIENT_PORT}", f"https://[::1]:{CLIENT_PORT}", *others]
        return EtcdClient(endpoints, tls / "client.crt", tls / "client.key", tls / "server-ca.crt")

    async def look(self) -> ClusterState:
        """Everything as it is now.

        Raises:
            EtcdError: no member lists the members.
        """
        async with self.client() as client:
            self._last = await client.members(timeout=TIMEOUT)
            servers = await asyncio.gather(*(self._server(client, member) for member in self._last))
        try:
            nodes = await asyncio.to_thread(self._nodes)
        except (*FAILURES, ValueError, LookupError) as error:
            return ClusterState(tuple(servers), unasked=reason(error))
        return ClusterState(tuple(servers), nodes)

    def _nodes(self) -> tuple[NodeFacts, ...]:
        return tuple(node_facts(node, {}) for node in Api(self._paths, "server").items("/api/v1/nodes"))

    async def _server(self, client: EtcdClient, member: Member) -> ServerState:
        host = urlsplit(next(iter(member.peer_urls), "")).hostname or ""
        state = ServerState(node_of(member.name) or host, host, learner=member.is_learner)
        try:
            status = (
                await client.status(member.client_urls[0], timeout=TIMEOUT) if member.client_urls else None
            )
        except EtcdError:
            status = None
        return ServerState(state.node, host, status, await self._choice(host), member.is_learner)

    async def _choice(self, host: str) -> EtcdChoice | None:
        try:
            answer = await (await self._supervisor(host)).request("GET", _CHOICE)
            return msgspec.json.decode(answer.body, type=EtcdChoice)
        except (JoinError, msgspec.DecodeError):
            return None

    async def go_on_with(self, server: ServerState, wanted: EtcdMinor) -> None:
        """Have `server` start again with another etcd.

        Raises:
            JoinError: it refuses, or does not answer.
        """
        body = msgspec.json.encode(EtcdWish(str(wanted)))
        headers = {"Content-Type": "application/json"}
        await (await self._supervisor(server.host)).request("POST", _EXCHANGE, body=body, headers=headers)

    async def snapshot(self, request: bytes, seconds: float) -> bytes:
        """The answer of this server to a request about snapshots; raises JoinError."""
        return await (await self._supervisor("127.0.0.1")).snapshot(request, seconds)

    async def _supervisor(self, host: str) -> Supervisor:
        token = await asyncio.to_thread(_text, self._paths.token)
        return await connect(url_of(host), token, SERVER_USER)


def _text(path: Path) -> str:
    return path.read_text().strip()
