"""The supervisor's HTTPS server on port 9345, which nodes join and the node's own agent asks.

A low-level server instead of a framework's router: paths are taken as they come, every method may occur (the
apiserver uses CONNECT), and what is checked in which order is the protocol's business (`rke2.supervisor.routes`).
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Iterable
from functools import partial
from ipaddress import ip_address

from aiohttp import web

from rke2.config.model import SUPERVISOR_PORT, NodeConfig
from rke2.errors import KubeError
from rke2.etcd.client import EtcdClient
from rke2.etcd.exchange import EtcdExchange
from rke2.join.passwd import Passwd
from rke2.join.shared import SharedKeys
from rke2.lifecycle.service import Policy
from rke2.lifecycle.services import Report, Services
from rke2.recovery.recovery import Recovery
from rke2.snapshots.drills import Drills
from rke2.snapshots.taking import Snapshots
from rke2.supervisor.api.authorities import AuthorityHandlers
from rke2.supervisor.api.bootstrap import BootstrapHandlers
from rke2.supervisor.api.certificates import CertificateHandlers
from rke2.supervisor.api.config import ConfigHandlers
from rke2.supervisor.api.drills import DrillHandlers
from rke2.supervisor.api.encryption import EncryptionHandlers
from rke2.supervisor.api.etcd import EtcdHandlers
from rke2.supervisor.api.members import MemberHandlers
from rke2.supervisor.api.metrics import Figures, MetricsHandlers
from rke2.supervisor.api.nodes import NodeHandlers
from rke2.supervisor.api.public import PublicHandlers
from rke2.supervisor.api.recovery import RecoveryHandlers
from rke2.supervisor.api.snapshots import SnapshotHandlers
from rke2.supervisor.api.token import TokenHandlers
from rke2.supervisor.api.tunnels import TunnelHandlers
from rke2.supervisor.authentication import Authenticator, Identity
from rke2.supervisor.authority_rotation import AuthorityRotation
from rke2.supervisor.connections import Acceptor, ClientConnection
from rke2.supervisor.core import CoreSlot
from rke2.supervisor.dispatch import Dispatcher
from rke2.supervisor.earlier_certificate import EarlierCertificate
from rke2.supervisor.encryption.rotation import Rotation
from rke2.supervisor.failed_logins import FailedLogins
from rke2.supervisor.growth import GrowingCertificate
from rke2.supervisor.listener import SupervisorListener, listen, loopback_of
from rke2.supervisor.node_passwords import NodePasswords
from rke2.supervisor.own_password import Tell
from rke2.supervisor.requests import request_from
from rke2.supervisor.routes import RouteTable, Subjects
from rke2.supervisor.self_check import SelfCheck
from rke2.supervisor.serving_secret import keep_in_step
from rke2.supervisor.slots import Passwords, Slots
from rke2.supervisor.token_rotation import TokenRotation
from rke2.supervisor.unauthenticated import Place, UnauthenticatedConnections
from rke2.tunnel.routing import Dialer
from rke2.tunnel.server import TunnelServer

log = logging.getLogger(__name__)

_DRAIN_SECONDS = 2.0


class SupervisorServer:
    """Serves the route table from `start` to `stop`.

    What it does meanwhile is a table of jobs; one that ends is started again by itself and ends no other.

    Args:
        config: the server's configuration; its PKI must exist (`ensure_server_pki`).
        passwd: who may authenticate with a password.
        agents: further passwords of agents.
        tunnel: takes the agents' websockets.
        dialer: ways to nodes, for CONNECT.
        etcd: client of the managed etcd; None on a server that has none.
        snapshots: those of that etcd; likewise.
        drills: of those snapshots; likewise.
        recovery: of the cluster, if this server has a member.
        exchange: of that member's program; likewise.
        shared: keys that are exchanged while servers run; None where there is nobody to share them with.
        figures: collects those of this node; None without ``supervisor-metrics``.
        tell: shows the operator what is wrong with something, or with no words that it is well again.
        port: 0 takes a free port (see `port`).
        report: gets what becomes of each job.
    """

    def __init__(
        self,
        config: NodeConfig,
        passwd: Passwd,
        *,
        tunnel: TunnelServer,
        dialer: Dialer,
        etcd: EtcdClient | None,
        snapshots: Snapshots | None = None,
        drills: Drills | None = None,
        recovery: Recovery | None = None,
        exchange: EtcdExchange | None = None,
        shared: SharedKeys | None = None,
        agents: Iterable[str] = (),
        figures: Figures | None = None,
        tell: Tell = lambda about, words: None,
        port: int = SUPERVISOR_PORT,
        report: Report = lambda name, status: None,
    ) -> None:
        self.core = CoreSlot()
        """Publish the core here as soon as the Kubernetes API is up."""
        self.slots = Slots.read(config.paths.tls, Passwords(passwd, tuple(agents)))
        """Exchange authorities and passwords here; the next request, or connection, goes by the new ones."""
        self._config, self._port = config, port
        self._tunnel, self._dialer, self._etcd = tunnel, dialer, etcd
        self._snapshots, self._drills, self._recovery = snapshots, drills, recovery
        self._exchange = exchange
        self._shared, self._figures = shared, figures
        self._rotation = Rotation(config, self.core, shared) if shared else None
        self._token = TokenRotation(config, self.slots.passwords, shared.etcd, self.core) if shared else None
        self._authorities = AuthorityRotation(config.paths, shared.etcd) if shared else None
        self._authenticator = Authenticator(
            self.slots.passwords, self._bootstrap_identity, EarlierCertificate(config.paths.tls)
        )
        self._failed_logins = FailedLogins()
        self._unauthenticated = UnauthenticatedConnections(is_node=self._is_node)
        self._node_passwords = NodePasswords(config, self.core, etcd, tell)
        self._dispatcher: Dispatcher | None = None
        self._http: web.Server | None = None
        self._certificate: GrowingCertificate | None = None
        self._report = report
        self._self_check = SelfCheck()
        self._listeners: list[SupervisorListener] = []
        self._jobs: Services | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._port

    async def start(self) -> None:
        """Listen.

        Raises:
            HostError: the port is in use.
            ConfigError: bind address or TLS settings cannot be used.
            PKIError: the server CA cannot be used.
        """
        config = self._config
        # Before a port is opened: a CA or a TLS setting that cannot
        # be used ends the start before anybody can connect.
        self._certificate = GrowingCertificate(
            config, self.slots.server_ca, self.slots.client_ca, self._admits
        )
        self._dispatcher = Dispatcher(
            RouteTable(self._subjects()),
            self._authenticator,
            self._failed_logins,
            self.core,
            runs_apiserver=config.runs_apiserver,
            on_host=self._certificate.gain,
        )
        sockets = listen(config.network.bind_address, self._port)
        self._port = sockets[0].getsockname()[1]
        self._http = web.Server(self._dispatcher.handle, request_factory=request_from)
        # Told after the new TLS context was made (`Slot.exchange`): whoever connects again meets that one.
        self.slots.client_ca.listen(self._ask_again)
        self._jobs = Services(self._report)
        self._begin(self._jobs, self._certificate, sockets)
        log.info("The supervisor listens on %s port %d", config.network.bind_address, self._port)

    def _subjects(self) -> Subjects:
        config = self._config
        return Subjects(
            public=PublicHandlers(config.paths.server / "static"),
            authorities=AuthorityHandlers(config.paths.tls, self.slots.server_ca, self._authorities),
            certificates=CertificateHandlers(config, self.core, self._node_passwords),
            config=ConfigHandlers(config),
            nodes=NodeHandlers(self.core, self._etcd),
            bootstrap=BootstrapHandlers(config.paths.server, self._etcd),
            members=MemberHandlers(self._etcd),
            snapshots=SnapshotHandlers(self._snapshots),
            drills=DrillHandlers(self._drills),
            recovery=RecoveryHandlers(self._recovery),
            etcd=EtcdHandlers(self._exchange),
            encryption=EncryptionHandlers(config, self.core, self._rotation),
            token=TokenHandlers(self._token),
            tunnels=TunnelHandlers(self._tunnel, self._dialer),
            metrics=MetricsHandlers(self._figures) if self._figures else None,
        )

    def _begin(self, jobs: Services, certificate: GrowingCertificate, sockets: list[socket.socket]) -> None:
        acceptor = Acceptor(self._tls_context, self._connection, self._unauthenticated, self._self_check.own)
        self._listeners = [SupervisorListener(opened, acceptor.keep_open) for opened in sockets]
        for listener in self._listeners:
            jobs.begin(listener, Policy.RESTART)
        follow_core = partial(self._follow_core, certificate)
        jobs.keep("supervisor: serving certificate", certificate.run, Policy.RESTART)
        jobs.keep("supervisor: shared serving certificate", follow_core, Policy.RESTART)
        if self._shared and self._rotation:
            jobs.keep("supervisor: rotation of keys", self._rotation.run, Policy.RESTART)
            jobs.keep("supervisor: shared keys", partial(self._follow_keys, self._shared), Policy.RESTART)
        jobs.keep("supervisor: own node password", self._node_passwords.keep_own, Policy.RESTART)
        jobs.keep("supervisor: deferred node passwords", self._node_passwords.verify_deferred, Policy.RESTART)

    async def answers(self) -> str:
        """Why the supervisor does not answer a TLS client of this machine; empty if it does."""
        return await self._self_check.ask(loopback_of(self._config.network.bind_address), self._port)

    async def reopen(self, why: str) -> None:
        """Listen again, with sockets of their own; open connections go on."""
        if self._jobs:
            for listener in self._listeners:
                self._jobs.restart(listener.name, why)

    async def stop(self) -> None:
        """Stop listening, let running requests end for a moment, close the rest."""
        if self._jobs:
            # First: nobody new comes in, and whoever waits for a rotation
            # of keys is answered before requests are cut off.
            await self._jobs.stop()
        if self._dispatcher:
            # They never end by themselves, and would use up the time in which all others may.
            self._dispatcher.cancel_lasting()
        if self._http:
            self._http.pre_shutdown()
            await self._http.shutdown(_DRAIN_SECONDS)

    def _ask_again(self) -> None:
        """Let clients show their certificates again, which were checked when they connected.

        A connection that waits for a request ends now, another one with its answer. Tunnels go on.
        """
        for connection in self._http.connections if self._http else ():
            assert isinstance(connection, ClientConnection)
            connection.finish()

    # --- connections -------------------------------------------------------------------------------
    def _tls_context(self, local_address: str) -> ssl.SSLContext:
        assert self._certificate is not None
        if local_address:
            # Before the handshake: even the connection that brings a new address is served with it.
            self._certificate.gain(local_address, proven=self._is_own(local_address))
        return self._certificate.context

    def _connection(self, place: Place) -> ClientConnection:
        assert self._http is not None
        return ClientConnection(self._http, place)

    def _is_node(self, address: str) -> bool:
        """Whether a connection from `address` is one of a node: of this machine, or of a Node the API knows."""
        core = self.core.current
        return _is_loopback(address) or (core is not None and address in core.addresses)

    def _admits(self, name: str) -> bool:
        """Whether the certificate may gain `name`, of which there is nothing but a client's word.

        Before the nodes are known, RKE2 takes any name; and what is added once is never taken away.
        """
        core = self.core.current
        return not self._config.network.tls_san_security or (
            core is not None and core.is_server_address(name)
        )

    def _is_own(self, local_address: str) -> bool:
        """Whether the address of this machine that a client has connected to is there for others to connect to.

        Service addresses are not, though kube-proxy may put them on one of the machine's interfaces.
        """
        address = ip_address(local_address.partition("%")[0])
        service = any(address in cidr for cidr in self._config.network.service_cidrs)
        return not service and not address.is_loopback

    async def _follow_core(self, certificate: GrowingCertificate) -> None:
        await keep_in_step((await self.core.wait()).client, certificate)

    async def _follow_keys(self, shared: SharedKeys) -> None:
        # Not earlier: the start compares all files with those in etcd, and sees which are newer.
        await self.core.wait()
        await shared.follow()

    async def _bootstrap_identity(self, token_id: str, secret: str) -> Identity | None:
        """None also if the API cannot be asked: 401, as older releases answer (the reference leaves 401 or 500)."""
        core = self.core.current
        if core is None:
            return None
        try:
            return await core.bootstrap_identity(token_id, secret)
        except KubeError as error:
            log.warning("A bootstrap token cannot be looked up: %s", error)
            return None


def _is_loopback(address: str) -> bool:
    return ip_address(address).is_loopback
