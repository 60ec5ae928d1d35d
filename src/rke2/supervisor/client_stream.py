"""The client's connection after its CONNECT was answered: raw bytes, where aiohttp knows only HTTP.

Mirrors the supervisor reference §9.4.
"""

from __future__ import annotations

import asyncio
from collections import deque

from aiohttp import web

from rke2.host.transports import abort

_HIGH_WATER = 256 * 1024
"""Unread bytes of a client above which nothing more is taken from it."""
_ESTABLISHED = b"HTTP/1.1 200 OK\r\n\r\n"


class ClientStream:
    """The client's connection after the answer to CONNECT, as a `Stream`.

    It takes the place of aiohttp's websocket parser, the one way by which aiohttp hands on raw bytes, so nothing that
    came together with the request is lost.
    """

    def __init__(self, request: web.BaseRequest, transport: asyncio.Transport) -> None:
        self._protocol, self._writer, self._transport = request.protocol, request.writer, transport
        self._unread: deque[bytes] = deque()
        self._size = 0
        self._paused = self._ended = False
        self._arrived = asyncio.Event()

    @classmethod
    def take_over(cls, request: web.BaseRequest) -> ClientStream:
        """Answer 200 and take the connection.

        Raises:
            ConnectionResetError: the client has gone away.
        """
        if request.transport is None:
            raise ConnectionResetError("the client has gone away")
        stream = cls(request, request.transport)
        # Past aiohttp, whose answers have a length or chunks: a 200 to CONNECT must have neither (RFC 9110).
        request.transport.write(_ESTABLISHED)
        request.protocol.set_parser(stream)  # type: ignore[arg-type]
        return stream

    # --- what aiohttp calls ------------------------------------------------------------------------
    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._unread.append(data)
        self._size += len(data)
        self._arrived.set()
        if self._size > _HIGH_WATER and not self._paused:
            self._paused = True
            self._protocol.pause_reading()
        return False, b""

    def feed_eof(self) -> None:
        self._ended = True
        self._arrived.set()

    # --- Stream ------------------------------------------------------------------------------------
    async def read(self) -> bytes:
        """Some bytes; ``b""`` is the end, of both directions: TLS here knows no half-closed connection."""
        while not self._unread:
            if self._ended:
                return b""
            # No await since the look at `_unread`: what arrives afterwards sets it again.
            self._arrived.clear()
            await self._arrived.wait()
        data = self._unread.popleft()
        self._size -= len(data)
        # Not as soon as there is room: each read would stop and start the transport.
        if self._paused and self._size <= _HIGH_WATER // 2:
            self._paused = False
            self._protocol.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        """Hand over `data`; waits while the client does not keep up.

        Raises:
            ConnectionResetError: the client has gone away.
        """
        if self._ended or self._transport.is_closing():
            raise ConnectionResetError("the client has gone away")
        self._transport.write(data)
        await self._writer.drain()

    async def close(self, reason: str = "") -> None:
        """End the connection; without a `reason`, what was written still arrives."""
        if reason:
            abort(self._transport)
        else:
            self._transport.close()
