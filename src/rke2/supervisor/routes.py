"""The routes of port 9345: every path RKE2 serves there, who may ask, and what answers.

Mirrors the supervisor reference §2. Groups are checked only after a path has matched, so an unknown path never tells
whether credentials would have been right. The API answers under k3s's prefix, too, because agents of some releases
of RKE2 speak it by that name.

Where the reference leaves a choice:

- The name in the prefix decides over header and file names, too: who asks below ``/v1-k3s`` sends ``k3s-Node-Name`` and
  wants ``client-k3s-controller.crt``. The two are not mixed.
- Who authenticates as a server may ask what agents may.
- What only reads answers every method alike, as in RKE2: nothing is changed by a POST or DELETE to it.
- Routes below ``/v1-rke2/cert`` are those of released versions: ``cacerts`` only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp.web import StreamResponse

from rke2.join.passwd import AGENT_GROUP, SERVER_GROUP
from rke2.supervisor.api.authorities import AuthorityHandlers
from rke2.supervisor.api.bootstrap import BootstrapHandlers
from rke2.supervisor.api.certificates import CertificateHandlers
from rke2.supervisor.api.config import ConfigHandlers
from rke2.supervisor.api.drills import DrillHandlers
from rke2.supervisor.api.encryption import EncryptionHandlers
from rke2.supervisor.api.etcd import EtcdHandlers
from rke2.supervisor.api.members import MemberHandlers
from rke2.supervisor.api.metrics import MetricsHandlers
from rke2.supervisor.api.nodes import NodeHandlers
from rke2.supervisor.api.public import PublicHandlers
from rke2.supervisor.api.recovery import STOP_SECONDS, RecoveryHandlers
from rke2.supervisor.api.snapshots import SnapshotHandlers
from rke2.supervisor.api.token import TokenHandlers
from rke2.supervisor.api.tunnels import TunnelHandlers
from rke2.supervisor.calls import Call

PREFIX = "/v1-rke2"
ALIAS = "k3s"
METRICS = "/metrics"

Handler = Callable[[Call], Awaitable[StreamResponse]]

PUBLIC: frozenset[str] = frozenset()
DELEGATED = frozenset({"whom the API server lets"})
"""No group decides, but the API server (`rke2.supervisor.delegated`)."""
MASTERS = frozenset({"system:masters"})
SERVERS = frozenset({SERVER_GROUP})
NODES = frozenset({"system:nodes"})
AGENTS = frozenset({AGENT_GROUP, SERVER_GROUP, "system:nodes", "system:bootstrappers"})

ANY = frozenset[str]()
GET = frozenset({"GET", "HEAD"})
PUT = frozenset({"PUT"})
POST = frozenset({"POST"})
REQUEST_SECONDS = 30.0
SNAPSHOT_SECONDS = 3600.0
"""For a database of gigabytes on a slow disk; etcd that sends nothing ends a save long before."""
ROTATION_SECONDS = 3600.0
"""For API servers that look for new keys once a minute, and for Secrets by the hundred thousand."""
TOKEN_SECONDS = 120.0
"""For other servers that do not answer."""
CERTIFICATE = frozenset({"POST", "GET"})
"""Old agents GET a certificate, with a key made by the server."""


@dataclass(frozen=True)
class Route:
    """`path` is exact, or a prefix if it ends with ``/*``.

    Args:
        groups: one of them is needed; `PUBLIC` asks for no credentials, `DELEGATED` the API server.
        methods: HTTP methods; `ANY` for all.
        local: clients on this machine need no credentials.
        seconds: limit of its answer.
        lasting: the request becomes a connection of another kind, which may go on for days.
    """

    path: str
    groups: frozenset[str]
    methods: frozenset[str]
    handler: Handler
    local: bool = False
    seconds: float = REQUEST_SECONDS
    lasting: bool = False

    @property
    def capped(self) -> bool:
        """Whether the agents' cap on requests in flight holds."""
        return self.groups is AGENTS

    def matches(self, path: str) -> bool:
        if self.path.endswith("/*"):
            return path.startswith(self.path[:-1])
        return path == self.path


@dataclass(frozen=True)
class Subjects:
    """What answers, subject by subject."""

    public: PublicHandlers
    authorities: AuthorityHandlers
    certificates: CertificateHandlers
    config: ConfigHandlers
    nodes: NodeHandlers
    bootstrap: BootstrapHandlers
    members: MemberHandlers
    snapshots: SnapshotHandlers
    drills: DrillHandlers
    recovery: RecoveryHandlers
    etcd: EtcdHandlers
    encryption: EncryptionHandlers
    token: TokenHandlers
    tunnels: TunnelHandlers
    metrics: MetricsHandlers | None = None
    """None without ``supervisor-metrics``: then there is no such route."""


def table(api: Subjects) -> tuple[Route, ...]:
    """Every route, answered by `api`."""
    return (
        # Without credentials from this machine, as in RKE2 (supervisor reference §2.5).
        Route("/db/info", SERVERS, GET, api.members.members, local=True),
        Route("/db/snapshot", SERVERS, POST, api.snapshots.snapshot, seconds=SNAPSHOT_SECONDS),
        Route("/cacerts", PUBLIC, ANY, api.authorities.ca_certificates),
        Route("/ping", PUBLIC, ANY, api.public.ping),
        Route("/static/*", PUBLIC, ANY, api.public.static),
        Route(f"{PREFIX}/server-bootstrap", SERVERS, GET, api.bootstrap.bootstrap),
        Route(f"{PREFIX}/snapshot/verify", SERVERS, POST, api.drills.verify, seconds=SNAPSHOT_SECONDS),
        Route(f"{PREFIX}/restore", SERVERS, GET, api.recovery.status),
        Route(f"{PREFIX}/restore/begin", SERVERS, POST, api.recovery.begin),
        Route(f"{PREFIX}/restore/stop", SERVERS, POST, api.recovery.stop, seconds=STOP_SECONDS),
        Route(f"{PREFIX}/etcd", SERVERS, GET, api.etcd.choice),
        Route(f"{PREFIX}/etcd/exchange", SERVERS, POST, api.etcd.exchange),
        Route(f"{PREFIX}/encrypt/status", SERVERS, GET, api.encryption.status),
        Route(f"{PREFIX}/encrypt/config", SERVERS, PUT, api.encryption.exchange, seconds=ROTATION_SECONDS),
        Route(f"{PREFIX}/cert/cacerts", SERVERS, PUT, api.authorities.rotate),
        Route(f"{PREFIX}/token", SERVERS, PUT, api.token.rotate, seconds=TOKEN_SECONDS),
        Route(f"{PREFIX}/connect", NODES, GET, api.tunnels.connect, lasting=True),
        Route(f"{PREFIX}/serving-kubelet.crt", AGENTS, CERTIFICATE, api.certificates.issue),
        Route(f"{PREFIX}/client-kubelet.crt", AGENTS, CERTIFICATE, api.certificates.issue),
        Route(f"{PREFIX}/client-kube-proxy.crt", AGENTS, CERTIFICATE, api.certificates.issue),
        Route(f"{PREFIX}/client-rke2-controller.crt", AGENTS, CERTIFICATE, api.certificates.issue),
        Route(f"{PREFIX}/client-ca.crt", AGENTS, ANY, api.authorities.client_ca),
        Route(f"{PREFIX}/server-ca.crt", AGENTS, ANY, api.authorities.server_ca),
        Route(f"{PREFIX}/apiservers", AGENTS, ANY, api.nodes.apiservers),
        Route(f"{PREFIX}/config", AGENTS, ANY, api.config.config),
        Route(f"{PREFIX}/readyz", AGENTS, ANY, api.nodes.readyz),
        *([Route(METRICS, DELEGATED, GET, api.metrics.metrics)] if api.metrics else []),
    )


class RouteTable:
    """Finds the route of a request.

    Args:
        api: what answers.
    """

    def __init__(self, api: Subjects) -> None:
        self.routes = table(api)
        # The apiserver's way to kubelets: told by its method, whatever the target.
        self._tunnel = Route("CONNECT", MASTERS, frozenset({"CONNECT"}), api.tunnels.tunnel, lasting=True)

    def find(self, method: str, path: str) -> Route | None:
        """The route for a request, None if there is none; the method is not yet checked."""
        if method == "CONNECT":
            return self._tunnel
        path = canonical(path)
        return next((route for route in self.routes if route.matches(path)), None)


def program_of(path: str) -> str:
    """The name under which the client of `path` knows the API; it is part of header and file names."""
    return ALIAS if path.startswith(f"/v1-{ALIAS}/") else "rke2"


def canonical(path: str) -> str:
    """`path` as it is in the table."""
    if program_of(path) != ALIAS:
        return path
    rest = path.removeprefix(f"/v1-{ALIAS}").replace(f"client-{ALIAS}-", "client-rke2-")
    return PREFIX + rest
