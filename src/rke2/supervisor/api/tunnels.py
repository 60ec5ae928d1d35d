"""Requests that turn their connection into something else: the agents' websocket, and CONNECT.

Mirrors the supervisor reference §9.2 and §9.4.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import web

from rke2.errors import TunnelError
from rke2.supervisor.calls import Call
from rke2.supervisor.client_stream import ClientStream
from rke2.supervisor.status import StatusError, bad_request
from rke2.tunnel.routing import Dialer
from rke2.tunnel.server import TunnelServer, websocket
from rke2.tunnel.stream import pipe

_UPGRADE_SECONDS = 5.0
_DIAL_SECONDS = 60.0


class TunnelHandlers:
    """Connects agents with this server, and the API server with nodes.

    Args:
        tunnels: takes the agents' websockets.
        dialer: ways to nodes, for CONNECT.
    """

    def __init__(self, tunnels: TunnelServer, dialer: Dialer) -> None:
        self._tunnels, self._dialer = tunnels, dialer

    async def connect(self, call: Call) -> web.StreamResponse:
        """Take an agent's websocket."""
        node = call.identity.node if call.identity else ""
        if not node:
            raise StatusError(HTTPStatus.UNAUTHORIZED, "failed authentication")
        connection = websocket()
        async with asyncio.timeout(_UPGRADE_SECONDS):
            await connection.prepare(call.request)
        await self._tunnels.serve(connection, node, call.request.remote or "")
        return connection

    async def tunnel(self, call: Call) -> web.StreamResponse:
        """Join the client's connection with one to the target."""
        host, port = _target(call.request.raw_path)
        try:
            async with asyncio.timeout(_DIAL_SECONDS):
                target = await self._dialer.dial(host, port)
        except (TunnelError, OSError) as error:  # OSError: also the timeout
            reason = str(error) or f"dial tcp {host}:{port}: timeout"
            raise StatusError(HTTPStatus.BAD_GATEWAY, reason) from error
        # Taken over only now: until then a target that cannot be reached is told as an answer, 502.
        await pipe(ClientStream.take_over(call.request), target)
        # There is no HTTP left to speak on this connection; aiohttp closes it without another word.
        raise ConnectionResetError("the tunnel has ended")


def _target(authority: str) -> tuple[str, int]:
    host, _, port = authority.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise bad_request("the target of CONNECT has to be host:port")
    return host, int(port)
