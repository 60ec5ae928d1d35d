"""The cluster's authorities: the CA by which everybody can check a server, the bundles that agents keep, new ones."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from rke2.errors import RKE2Error
from rke2.join.bootstrap import BootstrapData
from rke2.pki.catalog import CLIENT_CA, SERVER_CA, Authority
from rke2.pki.pem import certificate_path
from rke2.supervisor.api.answers import file
from rke2.supervisor.authority_rotation import AuthorityRotation
from rke2.supervisor.calls import Call
from rke2.supervisor.slots import Slot
from rke2.supervisor.status import told, unavailable

BUNDLES_LIMIT = 512 * 1024
"""Bytes of a request with five bundles and their keys; RSA chains of four take 100 KiB."""
_TRUE = ("1", "t", "true")
"""What Go's ``strconv.ParseBool`` takes for true."""


class AuthorityHandlers:
    """Answers with certificates of the cluster's authorities.

    Args:
        tls: folder of the authorities' files.
        server_ca: PEM of the server CA; what is in the slot is answered.
        rotation: exchanges the authorities; None where nothing brings them to other servers.
    """

    def __init__(self, tls: Path, server_ca: Slot[bytes], rotation: AuthorityRotation | None = None) -> None:
        self._tls, self._server_ca, self._rotation = tls, server_ca, rotation

    async def ca_certificates(self, call: Call) -> web.Response:
        return web.Response(body=self._server_ca.value, content_type="text/plain")

    async def client_ca(self, call: Call) -> web.StreamResponse:
        return self._bundle(CLIENT_CA)

    async def server_ca(self, call: Call) -> web.StreamResponse:
        return self._bundle(SERVER_CA)

    async def rotate(self, call: Call) -> web.Response:
        """``rke2 certificate rotate-ca``: 204 when the bootstrap data has the new authorities.

        A refusal is told, not only its number: the client has all keys already.
        """
        if self._rotation is None:
            raise unavailable("runtime core not ready")
        force = call.request.query.get("force", "").lower() in _TRUE
        content = await call.body(BUNDLES_LIMIT)
        try:
            await self._rotation.rotate(BootstrapData.from_json(content), force=force)
        except (RKE2Error, OSError) as error:
            raise told("certificate", error, HTTPStatus.INTERNAL_SERVER_ERROR) from error
        return web.Response(status=HTTPStatus.NO_CONTENT)

    def _bundle(self, authority: Authority) -> web.StreamResponse:
        return file(certificate_path(self._tls / authority.file), "text/plain")
