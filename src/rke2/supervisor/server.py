"""The supervisor's HTTPS server on port 9345, which nodes join and the node's own agent asks.

A low-level server instead of a framework's router: paths are taken as they come, every method may occur (the
apiserver uses CONNECT), and what is checked in which order is the protocol's business (`rke2.supervisor.routes`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import ip_address

from aiohttp import web

from rke2.config.model import SUPERVISOR_PORT, NodeConfig
from rke2.join.passwd import Passwd
from rke2.pki.catalog import SERVER_CA
from rke2.pki.pem import certificate_path
from rke2.supervisor.authentication import Authenticator
from rke2.supervisor.handlers import Context, unmatched
from rke2.supervisor.listener import listen
from rke2.supervisor.routes import Route, find_route
from rke2.supervisor.serving import ensure_serving_certificate
from rke2.supervisor.status import StatusError, unavailable
from rke2.supervisor.tls import server_context

log = logging.getLogger(__name__)

_HANDSHAKE_SECONDS = 10.0
_REQUEST_SECONDS = 30.0
_IDLE_SECONDS = 75.0
_DRAIN_SECONDS = 2.0


class JoinServer:
    """Serves the route table from `start` to `stop`.

    Args:
        config: the server's configuration; its PKI must exist (`ensure_server_pki`).
        passwd: who may authenticate with a password.
        ready: whether the Kubernetes API answers; asked on each request that depends on it.
        port: 0 takes a free port (see `port`).
    """

    def __init__(
        self, config: NodeConfig, passwd: Passwd, ready: Callable[[], bool], *, port: int = SUPERVISOR_PORT
    ) -> None:
        self._config = config
        self._authenticator = Authenticator(passwd)
        self._ready = ready
        self._port = port
        self._context: Context | None = None
        self._http: web.Server | None = None
        self._servers: list[asyncio.Server] = []

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
        config, loop = self._config, asyncio.get_running_loop()
        self._context = Context(
            certificate_path(config.paths.tls / SERVER_CA.file).read_bytes(),
            self._ready,
            config.component("kube-apiserver").disabled,
        )
        tls = server_context(config, ensure_serving_certificate(config))
        sockets = listen(config.network.bind_address, self._port)
        self._port = sockets[0].getsockname()[1]
        self._http = web.Server(self._handle, keepalive_timeout=_IDLE_SECONDS, access_log=None)
        for listener in sockets:
            server = await loop.create_server(
                self._http, sock=listener, ssl=tls, ssl_handshake_timeout=_HANDSHAKE_SECONDS
            )
            self._servers.append(server)
        log.info("The supervisor listens on %s port %d", config.network.bind_address, self._port)

    async def stop(self) -> None:
        """Stop listening, let running requests end for a moment, close the rest."""
        for server in self._servers:
            server.close()
        if self._http:
            self._http.pre_shutdown()
            await self._http.shutdown(_DRAIN_SECONDS)
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                return await self._answer(request)
        except StatusError as error:
            return error.response()
        except TimeoutError:
            log.warning("%s %s from %s took too long", request.method, request.path, request.remote)
            return unavailable("timeout").response()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        assert self._context is not None
        route = find_route(request.method, request.path)
        if route is None:
            raise unmatched(self._context, request)
        self._authorize(route, request)
        if route.methods and request.method not in route.methods:
            raise StatusError(HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is not allowed")
        return await route.handler(self._context, request)

    def _authorize(self, route: Route, request: web.BaseRequest) -> None:
        if route.groups and not (route.local and _is_local(request)):
            self._authenticator.require(request, route.groups)


def _is_local(request: web.BaseRequest) -> bool:
    return bool(request.remote) and ip_address(str(request.remote)).is_loopback
