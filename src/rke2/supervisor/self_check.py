"""Whether port 9345 answers: a real TLS connection of the process to itself, and a request on it."""

from __future__ import annotations

import asyncio
import socket
import ssl

from rke2.host.own_connections import OwnConnections
from rke2.host.transports import abort
from rke2.host.unreachable import reason_of

_REQUEST = b"GET /ping HTTP/1.1\r\nHost: supervisor\r\nConnection: close\r\n\r\n"


class SelfCheck:
    """Asks the supervisor of this process.

    Attributes:
        own: what is not counted among the unauthenticated.
    """

    def __init__(self) -> None:
        self.own = OwnConnections()
        # Not verified: a certificate that others would refuse is no reason to end a node, and is told elsewhere.
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname, self._tls.verify_mode = False, ssl.CERT_NONE

    async def ask(self, host: str, port: int) -> str:
        """Why there is no answer; empty if there is one. As long as it takes: who asks sets the limit.

        Args:
            host: an address of this machine that the supervisor listens on.
        """
        try:
            async with self.own.connect(host, port) as connection:
                first = await self._first_line(connection)
        except OSError as error:
            return reason_of(error)
        return (
            "" if b" 200 " in first else f"GET /ping: {first.decode(errors='replace').strip() or 'no answer'}"
        )

    async def _first_line(self, connection: socket.socket) -> bytes:
        reader, writer = await asyncio.open_connection(
            # Without a name: with `tls-san-security: false` the certificate gains every name that is asked for.
            sock=connection,
            ssl=self._tls,
            server_hostname="",
        )
        try:
            writer.write(_REQUEST)
            return await reader.readline()
        finally:
            # Not closed: the end of TLS takes an answer of the other side, which may be what is missing.
            abort(writer.transport)
