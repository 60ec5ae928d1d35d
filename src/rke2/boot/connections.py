"""This node's ways to the servers of its cluster.

::

    kubelet, kube-proxy, own controllers ──> 127.0.0.1:6443  load balancer ──> API servers, port 6443
    joining, configuration               ──> 127.0.0.1:6444  load balancer ──> supervisors, port 9345
    kube-apiserver elsewhere ──> its supervisor <── websocket ── tunnel of this node ──> kubelet, pods

A server with an API server has no load balancers: its own API server and supervisor answer on loopback. Every node
holds a tunnel to every supervisor; whether that is connected is what a load balancer knows of a server's health, also
that for API servers (the reference leaves its health check open).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from rke2.config.addresses import loopback
from rke2.config.model import APISERVER_PORT, SUPERVISOR_PORT, NodeConfig
from rke2.lifecycle.liveness import Watched
from rke2.loadbalancer.balancer import ServerHealth
from rke2.loadbalancer.server import LoadBalancer
from rke2.pki.catalog import SERVER_CA
from rke2.pki.egress import supervisor_url
from rke2.pki.pem import certificate_path
from rke2.pki.tls import identity

SUPERVISORS = "rke2-agent-load-balancer"
APISERVERS = "rke2-api-server-agent-load-balancer"


class Connections:
    """The load balancers of a node, and what its tunnels tell about the servers; nothing listens before `start`.

    Attributes:
        supervisors, apiservers: None on a server with an API server of its own.
    """

    def __init__(self, config: NodeConfig) -> None:
        self._config = config
        self._connected: dict[str, bool] = {}
        self._listed: tuple[str, ...] = ()
        self.supervisors = self.apiservers = None
        if not config.runs_apiserver:
            supervisor, port = first_supervisor(config), config.node.lb_server_port
            self.supervisors = self._balancer(SUPERVISORS, port, supervisor)
            # A default only: the server to join need not have an API server. The cluster's list follows.
            self.apiservers = self._balancer(APISERVERS, port - 1, f"{_host(supervisor)}:{APISERVER_PORT}")

    def _balancer(self, name: str, port: int, default: str) -> LoadBalancer:
        config = self._config
        return LoadBalancer(
            name,
            port,
            config.join.server_url if config.join else supervisor_url(config),
            config.paths.agent_etc / f"{name}.json",
            default=default,
            health=self.health,
        )

    @property
    def balancers(self) -> tuple[LoadBalancer, ...]:
        return tuple(balancer for balancer in (self.supervisors, self.apiservers) if balancer)

    @property
    def url(self) -> str:
        """Where this node asks a supervisor."""
        return (
            f"https://127.0.0.1:{self.supervisors.port}" if self.supervisors else supervisor_url(self._config)
        )

    async def start(self) -> None:
        """Listen.

        Raises:
            HostError: a port is taken.
        """
        for balancer in self.balancers:
            await balancer.start()

    async def run(self) -> None:
        """Look after the servers of each until cancelled."""
        async with asyncio.TaskGroup() as watching:
            for balancer in self.balancers:
                watching.create_task(balancer.watch_health(), name=balancer.name)

    def watched(self) -> list[Watched]:
        """Each as something that has to answer."""
        return [Watched(each.name, each.answers, each.reopen) for each in self.balancers]

    async def close(self) -> None:
        """End all connections of the load balancers."""
        for balancer in self.balancers:
            await balancer.close()

    def remembered(self) -> list[str]:
        """The API servers of the last run (``host:port``)."""
        return [server.address for server in self.apiservers.snapshot()] if self.apiservers else []

    def note(self, supervisor: str, connected: bool) -> None:
        """The tunnel to a supervisor (``host:port``) was opened or lost."""
        self._connected[_host(supervisor)] = connected

    def tunnels(self) -> list[str]:
        """Hosts of the supervisors that the tunnel is connected to."""
        return sorted(host for host, connected in self._connected.items() if connected)

    def tunnel_states(self) -> dict[str, bool]:
        """Whether the tunnel to each supervisor (host) of the cluster is connected.

        By the list of servers, not by what was noted: one that never answered is down, one that has left is not.
        """
        return {host: self._connected.get(host, False) for host in self._listed}

    def health(self, address: str) -> ServerHealth:
        """What the tunnel tells about the server whose API server or supervisor is at ``host:port``."""
        # Never heard of is not failed: before the first tunnel opens, every server may be dialled.
        match self._connected.get(_host(address)):
            case True:
                return ServerHealth.OK
            case False:
                return ServerHealth.FAILED
        return ServerHealth.UNKNOWN

    def set_apiservers(self, addresses: Iterable[str]) -> list[str]:
        """Use the servers whose API servers are at `addresses` (``host:port``).

        Returns:
            The addresses of their supervisors.
        """
        apiservers = sorted(addresses)
        self._listed = tuple(map(_host, apiservers))
        supervisors = [f"{host}:{SUPERVISOR_PORT}" for host in self._listed]
        # Servers with an API server have no load balancers, but their tunnels need the list, too.
        if self.apiservers and self.supervisors:
            self.apiservers.set_servers(apiservers)
            self.supervisors.set_servers(supervisors)
        return supervisors


def first_supervisor(config: NodeConfig) -> str:
    """``host:port`` of the server to ask first: the one that is joined, or on a server that joins none, itself."""
    return urlsplit(config.join.server_url if config.join else supervisor_url(config)).netloc


def client_context(config: NodeConfig) -> ssl.SSLContext:
    """TLS with the certificate of this node's kubelet, for servers of its cluster.

    Raises:
        OSError: the certificates are not there yet.
    """
    agent = config.paths.agent
    return identity(certificate_path(agent / SERVER_CA.file), agent / "client-kubelet")


def kubelet_address(config: NodeConfig) -> str:
    """Where this node's kubelet can be dialled by the node itself."""
    bind = config.network.bind_address
    return loopback(config) if not bind or ip_address(bind).is_unspecified else bind


def _host(address: str) -> str:
    return address.rpartition(":")[0]
