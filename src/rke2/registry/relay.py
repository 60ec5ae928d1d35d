"""A relay on loopback between containerd and mirrors whose repositories have other names.

containerd knows no rewrite rules, and the name of a repository cannot be changed on the way without somebody on the
way. The relay is asked by the image's own name, asks the mirror by the mirror's, with the mirror's credentials and
TLS settings, and hands the answer through. Credentials of a pod (``imagePullSecrets``) are handed on instead of ours.

Whoever reaches the relay gets what the node's credentials allow, so every request has to show a key; containerd reads
it in ``certs.d``, which is root's. It is a header, as URLs come into events and logs.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Mapping, Sequence

import aiohttp
from aiohttp import web

from rke2.errors import HostError, RegistryError
from rke2.registry.connection import CHUNK, RegistryConnection, open_session
from rke2.registry.source import Source

log = logging.getLogger(__name__)

_PATH = re.compile(r"/(?P<number>\d+)/(?P<repository>.+)/(?P<rest>(?:manifests|blobs|referrers)/[^/]+)")
KEY_HEADER = "X-RKE2-Relay-Key"
_HANDED_ON = ("Accept", "Authorization", "Range", "If-Range")
_HANDED_BACK = (
    "Accept-Ranges",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Docker-Content-Digest",
    "ETag",
    "Retry-After",
)
_CHALLENGE = "WWW-Authenticate"
"""Handed back only from the mirror itself: containerd would send a pod's credentials to whom it names."""


class Relay:
    """Serves `sources` by their position in the sequence.

    Args:
        port: on loopback.
    """

    def __init__(self, sources: Sequence[Source], port: int) -> None:
        self._sources = tuple(sources)
        self._port = port
        self._key = secrets.token_urlsafe(24)
        self._connections: tuple[RegistryConnection, ...] = ()
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None

    def url(self, source: Source) -> str:
        """What stands for ``/v2`` of `source`."""
        return f"http://127.0.0.1:{self._port}/{self._sources.index(source)}"

    @property
    def headers(self) -> dict[str, str]:
        """What every request must have."""
        return {KEY_HEADER: self._key}

    async def start(self) -> None:
        """Listen.

        Raises:
            HostError: the port is taken.
        """
        self._session = open_session()
        self._connections = tuple(RegistryConnection(self._session, source) for source in self._sources)
        application = web.Application()
        application.router.add_get("/{path:.*}", self._relay)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        except OSError as error:
            await self.close()
            raise HostError.of(error, f"the relay to mirrors needs port {self._port}") from error

    async def close(self) -> None:
        if self._runner:
            await self._runner.cleanup()
        if self._session:
            await self._session.close()

    async def _relay(self, request: web.Request) -> web.StreamResponse:
        if not secrets.compare_digest(request.headers.get(KEY_HEADER, "").encode(), self._key.encode()):
            raise web.HTTPForbidden
        found = _PATH.fullmatch(request.path)
        if not found or int(found["number"]) >= len(self._connections):
            raise web.HTTPNotFound
        connection = self._connections[int(found["number"])]
        headers = _among(request.headers, _HANDED_ON)
        name = connection.source.repository(found["repository"])
        rest = f"{found['rest']}?{request.query_string}" if request.query_string else found["rest"]
        try:
            async with connection.exchange(request.method, name, rest, headers) as answer:
                names = (*_HANDED_BACK, _CHALLENGE) if connection.answered(answer) else _HANDED_BACK
                return await _hand_back(request, answer, names)
        except RegistryError as error:
            log.warning("relay for %s: %s", found["repository"], error)
            body = {"errors": [{"code": "UNAVAILABLE", "message": error.message}]}
            return web.json_response(body, status=502)


async def _hand_back(
    request: web.Request, answer: aiohttp.ClientResponse, names: Sequence[str]
) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=_among(answer.headers, names))
    await response.prepare(request)
    if request.method != "HEAD":
        async for chunk in answer.content.iter_chunked(CHUNK):
            await response.write(chunk)
    await response.write_eof()
    return response


def _among(headers: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    return {name: headers[name] for name in names if name in headers}
