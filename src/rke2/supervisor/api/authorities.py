"""The cluster's authorities: the CA by which everybody can check a server, and the bundles that agents keep."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from rke2.pki.catalog import CLIENT_CA, SERVER_CA, Authority
from rke2.pki.pem import certificate_path
from rke2.supervisor.api.answers import file
from rke2.supervisor.calls import Call
from rke2.supervisor.slots import Slot


class AuthorityHandlers:
    """Answers with certificates of the cluster's authorities.

    Args:
        tls: folder of the authorities' files.
        server_ca: PEM of the server CA; what is in the slot is answered.
    """

    def __init__(self, tls: Path, server_ca: Slot[bytes]) -> None:
        self._tls, self._server_ca = tls, server_ca

    async def ca_certificates(self, call: Call) -> web.Response:
        return web.Response(body=self._server_ca.value, content_type="text/plain")

    async def client_ca(self, call: Call) -> web.StreamResponse:
        return self._bundle(CLIENT_CA)

    async def server_ca(self, call: Call) -> web.StreamResponse:
        return self._bundle(SERVER_CA)

    def _bundle(self, authority: Authority) -> web.StreamResponse:
        return file(certificate_path(self._tls / authority.file), "text/plain")
