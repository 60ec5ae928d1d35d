"""The routes of port 9345: every path RKE2 serves there, who may ask, and what answers.

Mirrors the supervisor reference §2. Groups are checked only after a path has matched, so an unknown path never tells
whether credentials would have been right.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from aiohttp.web import BaseRequest, StreamResponse

from rke2.join.passwd import AGENT_GROUP, SERVER_GROUP
from rke2.supervisor import handlers
from rke2.supervisor.handlers import Context

PREFIX = "/v1-rke2"

Handler = Callable[[Context, BaseRequest], Awaitable[StreamResponse]]

PUBLIC: frozenset[str] = frozenset()
MASTERS = frozenset({"system:masters"})
SERVERS = frozenset({SERVER_GROUP})
NODES = frozenset({"system:nodes"})
AGENTS = frozenset({AGENT_GROUP, SERVER_GROUP, "system:nodes", "system:bootstrappers"})

ANY = frozenset[str]()
GET = frozenset({"GET", "HEAD"})
PUT = frozenset({"PUT"})
POST = frozenset({"POST"})
CERTIFICATE = frozenset({"POST", "GET"})
"""Old agents GET a certificate, with a key made by the server."""


@dataclass(frozen=True)
class Route:
    """`path` is exact, or a prefix if it ends with ``/*``.

    Args:
        groups: one of them is needed; `PUBLIC` asks for no credentials.
        methods: HTTP methods; `ANY` for all.
        local: clients on this machine need no credentials.
    """

    path: str
    groups: frozenset[str]
    methods: frozenset[str]
    handler: Handler = handlers.not_supported
    local: bool = False

    def matches(self, path: str) -> bool:
        if self.path.endswith("/*"):
            return path.startswith(self.path[:-1])
        return path == self.path


TUNNEL = Route("CONNECT", MASTERS, frozenset({"CONNECT"}))
"""The apiserver's way to kubelets: told by its method, whatever the target."""

ROUTES = (
    Route("/db/info", SERVERS, GET, local=True),
    Route("/db/snapshot", SERVERS, POST),
    Route("/cacerts", PUBLIC, GET, handlers.ca_certificates),
    Route("/ping", PUBLIC, ANY, handlers.ping),
    Route("/static/*", PUBLIC, GET),
    Route(f"{PREFIX}/server-bootstrap", SERVERS, GET),
    Route(f"{PREFIX}/encrypt/status", SERVERS, GET),
    Route(f"{PREFIX}/encrypt/config", SERVERS, PUT),
    Route(f"{PREFIX}/cert/cacerts", SERVERS, PUT),
    Route(f"{PREFIX}/token", SERVERS, PUT),
    Route(f"{PREFIX}/connect", NODES, GET),
    Route(f"{PREFIX}/serving-kubelet.crt", AGENTS, CERTIFICATE),
    Route(f"{PREFIX}/client-kubelet.crt", AGENTS, CERTIFICATE),
    Route(f"{PREFIX}/client-kube-proxy.crt", AGENTS, CERTIFICATE),
    Route(f"{PREFIX}/client-rke2-controller.crt", AGENTS, CERTIFICATE),
    Route(f"{PREFIX}/client-ca.crt", AGENTS, GET),
    Route(f"{PREFIX}/server-ca.crt", AGENTS, GET),
    Route(f"{PREFIX}/apiservers", AGENTS, GET),
    Route(f"{PREFIX}/config", AGENTS, GET),
    Route(f"{PREFIX}/readyz", AGENTS, GET, handlers.readyz),
)


def find_route(method: str, path: str) -> Route | None:
    """The route for a request, None if there is none; the method is not yet checked."""
    return TUNNEL if method == "CONNECT" else next(_matching(path), None)


def _matching(path: str) -> Iterator[Route]:
    return (route for route in ROUTES if route.matches(path))
