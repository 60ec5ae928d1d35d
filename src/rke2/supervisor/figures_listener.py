"""Port 9345 of an agent, where there is no supervisor: its figures, if the cluster has ``supervisor-metrics``.

It serves the kubelet's certificate, read again when it was renewed.
"""

from __future__ import annotations

import asyncio
import ssl
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from rke2.config.model import SUPERVISOR_PORT, NodeConfig
from rke2.errors import PKIError
from rke2.host.files import Stamp, stamp_of
from rke2.host.own_connections import OwnConnections
from rke2.lifecycle.service import Up
from rke2.pki.catalog import CLIENT_CA
from rke2.pki.pem import certificate_path, key_path
from rke2.supervisor import delegated
from rke2.supervisor.api.answers import not_found
from rke2.supervisor.api.metrics import Figures, answer
from rke2.supervisor.connections import Acceptor, ClientConnection
from rke2.supervisor.listener import listen
from rke2.supervisor.requests import request_from
from rke2.supervisor.routes import METRICS
from rke2.supervisor.serving import ServingCertificate
from rke2.supervisor.status import StatusError, internal
from rke2.supervisor.tls import server_context
from rke2.supervisor.unauthenticated import UnauthenticatedConnections

SERVING = "serving-kubelet"


class FiguresListener:
    """Serves the figures of an agent, as a service.

    Args:
        figures: collects them.
        reviewer: asks the API server who may read them, as this node's kubelet.
        port: 0 takes a free one (see `port`).
    """

    name = "metrics"

    def __init__(
        self,
        config: NodeConfig,
        figures: Figures,
        reviewer: delegated.Reviewer,
        port: int = SUPERVISOR_PORT,
    ) -> None:
        self._config, self._figures, self._reviewer, self.port = config, figures, reviewer, port
        self._context: tuple[Stamp, ssl.SSLContext] | None = None

    async def run(self, up: Up) -> None:
        """Answer until cancelled.

        Raises:
            HostError: the port is in use.
            PKIError: the kubelet's certificate cannot be read.
        """
        http = web.Server(self._handle, request_factory=request_from)
        # Before the port is opened: without a certificate every handshake on it would fail.
        self._tls("")
        sockets = listen(self._config.network.bind_address, self.port)
        self.port = sockets[0].getsockname()[1]
        acceptor = Acceptor(
            self._tls,
            lambda place: ClientConnection(http, place),
            UnauthenticatedConnections(is_node=lambda address: False),
            OwnConnections(),
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                for opened in sockets:
                    tasks.create_task(acceptor.keep_open(opened))
                up()
        finally:
            for opened in sockets:
                opened.close()
            await http.shutdown(1.0)

    def _tls(self, local_address: str) -> ssl.SSLContext:
        """The context of the next connection."""
        stem, client_ca = self._config.paths.agent / SERVING, self._config.paths.agent / CLIENT_CA.file
        try:
            # Before they are read: what changes meanwhile is read again for the next connection.
            stamp = stamp_of((certificate_path(stem), key_path(stem), certificate_path(client_ca)))
            if self._context is None or self._context[0] != stamp:
                self._context = (stamp, _context(self._config, stem))
        except OSError as error:
            raise PKIError(f"the certificate of port {SUPERVISOR_PORT} cannot be used: {error}") from error
        return self._context[1]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, ClientConnection)
        connection.began()
        try:
            return await self._answer(request, connection)
        except StatusError as error:
            return error.response()
        except Exception as error:  # noqa: BLE001 - also a fault of ours is answered as a Status, and logged
            return internal("metrics", error).response()
        finally:
            connection.answered()

    async def _answer(self, request: web.BaseRequest, connection: ClientConnection) -> web.StreamResponse:
        if request.path != METRICS:
            raise not_found()
        await delegated.require(request, METRICS, self._reviewer)
        connection.proven()
        if request.method not in ("GET", "HEAD"):
            raise StatusError(HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is not allowed")
        return answer(await self._figures())


def _context(config: NodeConfig, stem: Path) -> ssl.SSLContext:
    certificate = ServingCertificate(certificate_path(stem).read_bytes(), key_path(stem).read_bytes())
    client_ca = certificate_path(config.paths.agent / CLIENT_CA.file).read_bytes()
    return server_context(config, certificate, client_ca)
