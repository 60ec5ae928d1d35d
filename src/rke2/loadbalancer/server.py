"""A local port whose connections go to one of the cluster's servers, and to another one when that fails.

Components that keep a single address in their configuration (kubelet, kube-proxy, etcd's clients) reach all servers
this way. `balancer` decides, `dialing` connects, `link` forwards. Proxy environment variables are not taken into
account: servers are dialled directly.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from rke2.errors import HostError
from rke2.host.own_connections import OwnConnections
from rke2.host.ports import find_listener
from rke2.host.tasks import Tasks
from rke2.loadbalancer import remembered
from rke2.loadbalancer.balancer import Balancer, ServerHealth, ServerStatus
from rke2.loadbalancer.dialing import DialTiming, dial
from rke2.loadbalancer.link import Side
from rke2.loadbalancer.metrics import dial_durations

log = logging.getLogger(__name__)

_BACKLOG = 512


class LoadBalancer:
    """Forwards TCP connections to a local port to the cluster's servers.

    Args:
        name: such as ``rke2-agent-load-balancer``.
        port: local port; 0 lets the kernel choose (see `port` after `start`).
        server_url: the server the node joins; a list remembered from another one is not used.
        state_file: where the list is remembered, ``<agent>/etc/<name>.json``.
        default: ``host:port`` to use as long as the list is not known, and when nothing in it answers.
        health: what is known about the server with the given address; asked every second, so it must not take time.
        host: local address.
    """

    def __init__(
        self,
        name: str,
        port: int,
        server_url: str,
        state_file: Path,
        *,
        default: str,
        health: Callable[[str], ServerHealth],
        host: str = "127.0.0.1",
        timing: DialTiming = DialTiming(),  # noqa: B008 - frozen
    ) -> None:
        self.name = name
        self.port = port
        self._host = host
        self._server_url = server_url
        self._state_file = state_file
        self._health = health
        self._timing = timing
        self._balancer: Balancer[Side] = Balancer(default)
        self._server: asyncio.Server | None = None
        self.dials = dial_durations()
        """How long it took to reach a server, for metrics."""
        self._tasks = Tasks(f"{name}: a connection")
        self._clients: set[Side] = set()
        self._own = OwnConnections()
        self._used: str | None = None
        """The server the last client was connected to; empty if none answered."""

    async def start(self) -> None:
        """Accept connections, with the servers that are remembered; `watch_health` looks after these.

        Raises:
            HostError: the port is taken.
        """
        await self._listen()
        # Not by `self.set_servers`, which would write back the file that was just read.
        self._balancer.set_servers(remembered.load(self._state_file, self._server_url))

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: Side(self._accept), self._host, self.port, backlog=_BACKLOG
            )
        except OSError as error:
            raise self._explain(error) from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def answers(self) -> str:
        """Why this process does not accept its own connection to the port; empty if it does."""
        try:
            async with self._own.connect(self._host, self.port) as connection:
                await asyncio.get_running_loop().sock_recv(connection, 1)
        except ConnectionResetError:
            return ""  # accepted, and ended
        except OSError as error:
            return error.strerror or repr(error)
        return ""

    async def reopen(self, why: str) -> None:
        """Listen again, with another socket; open connections go on.

        Raises:
            HostError: the port is taken.
        """
        log.warning("%s: listening again: %s", self.name, why)
        if self._server:
            # Closed first: the port can only be bound again without the old
            # socket. Accepted connections go on.
            self._server.close()
        await self._listen()

    async def close(self) -> None:
        """Stop accepting and end all connections."""
        if self._server:
            self._server.close()
        # Collected before anything ends: a client that is lost leaves `_clients`,
        # but its sockets are waited for.
        sides = self._clients | {client.peer for client in self._clients if client.peer}
        for client in self._clients:
            client.abort()
        await self._tasks.end()
        if waiting := {side.lost for side in sides}:
            await asyncio.wait(waiting)

    def set_servers(self, servers: Iterable[str]) -> None:
        """Use and remember the servers the cluster lists (``host:port``).

        An empty list is ignored: a cluster that has no servers could not have said so.
        """
        if listed := tuple(servers):
            self._drop(self._balancer.set_servers(listed), "their server is no longer one of the cluster")
            remembered.save(self._state_file, self._server_url, listed)

    def snapshot(self) -> tuple[ServerStatus, ...]:
        """The servers as they are now, for status and metrics."""
        return self._balancer.status()

    def _accept(self, client: Side) -> None:
        # Before it counts as a client: the node asks itself all the time, and
        # no server is to be dialled for that.
        if client.transport.get_extra_info("peername") in self._own:
            client.abort()  # it has what it wanted to know
            return
        self._clients.add(client)
        client.lost.add_done_callback(lambda _: self._clients.discard(client))
        self._tasks.begin(self._serve(client))

    async def _serve(self, client: Side) -> None:
        try:
            if upstream := await self._dial():
                client.join(upstream)
            else:
                await asyncio.sleep(self._timing.pause)
        finally:
            # Not after `join`: from then on each side ends the other, and what is buffered still goes out.
            if not client.peer:
                client.abort()

    async def _dial(self) -> Side | None:
        answer = await dial(self._balancer.order(), self._timing, self._dialled)
        for address in answer.failed:
            self._drop(self._balancer.dial_failed(address), f"{address} does not answer")
        self._note(answer.address)
        if upstream := answer.upstream:
            # Before `connected`: what that returns is closed at once, and must be counted down too.
            upstream.lost.add_done_callback(lambda _: self._balancer.disconnected(answer.address, upstream))
            self._drop(self._balancer.connected(answer.address, upstream), f"{answer.address} is used now")
        return answer.upstream

    def _dialled(self, seconds: float, connected: bool) -> None:
        self.dials.observe(seconds, name=self.name, status="success" if connected else "failure")

    def _note(self, address: str) -> None:
        """Log where connections go, when that changes."""
        if address != self._used:
            self._used = address
            if address:
                log.info("%s: connections go to %s", self.name, address)
            else:
                log.warning("%s: all servers failed", self.name)

    async def watch_health(self) -> None:
        """Take servers that fail out of use, and back again, until cancelled."""
        while True:
            for address in self._balancer.addresses:
                dropped = self._balancer.checked(address, self._health(address))
                self._drop(dropped, f"{address} changed to {self._balancer.state(address).name}")
            await asyncio.sleep(self._timing.check)

    def _drop(self, upstreams: set[Side], why: str) -> None:
        if upstreams:
            log.info("%s: %d connections closed: %s", self.name, len(upstreams), why)
        for upstream in upstreams:
            upstream.abort()

    def _explain(self, error: OSError) -> HostError:
        if error.errno != errno.EADDRINUSE:
            return HostError.of(error, f"{self.name} cannot listen on {self._host} port {self.port}")
        holder = find_listener(self.port)
        return HostError(
            f"port {self.port}, which {self.name} needs, is in use by {holder or 'an unknown process'}",
            "stop that process, or choose another lb-server-port",
        )
