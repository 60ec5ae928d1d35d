"""Byte streams: what both ends of a tunnelled connection look like, and joining two of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import Final, Protocol

from rke2.errors import TunnelError
from rke2.host.transports import abort

CHUNK: Final = 64 * 1024
"""Bytes moved at once."""
DIAL_LIMIT: Final = 60.0
"""Seconds until a connection that does not come is given up, as upstream's agent does."""
_FAREWELL_LIMIT: Final = 5.0
"""Seconds a peer has to take the last bytes of an orderly end, and to end too."""
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 9))
"""Seconds, seconds and probes; what Go programs use."""


class Stream(Protocol):
    """A connection. The tunnel knows no half-closed ones: an end is the end of both directions."""

    async def read(self) -> bytes:
        """Some bytes; ``b""`` is the orderly end.

        Raises:
            OSError, TunnelError: the connection failed.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Hand over `data`; waits while the peer does not keep up.

        Raises:
            OSError, TunnelError: the connection failed.
        """
        ...

    async def close(self, reason: str = "") -> None:
        """End the connection; what was written still arrives. Closing twice is allowed.

        Args:
            reason: what went wrong; then what was written may be lost. Empty: an orderly end.
        """
        ...


class DirectStream:
    """A TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, host: str, port: int, limit: float = DIAL_LIMIT) -> DirectStream:
        """Connect within `limit` seconds.

        Raises:
            TunnelError: nobody answers at that address.
        """
        try:
            async with asyncio.timeout(limit):
                reader, writer = await asyncio.open_connection(host, port, limit=CHUNK)
        except TimeoutError as error:
            raise TunnelError(f"dial tcp {host}:{port}: no answer in {limit:.0f} s") from error
        except (OSError, UnicodeError) as error:
            # UnicodeError comes from host names that cannot be encoded for DNS.
            raise TunnelError(f"dial tcp {host}:{port}: {_text(error)}") from error
        _keep_alive(writer.get_extra_info("socket"))
        return cls(reader, writer)

    async def read(self) -> bytes:
        return await self._reader.read(CHUNK)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def close(self, reason: str = "") -> None:
        try:
            if not reason:
                await self._say_goodbye()
        finally:
            # Whatever became of the farewell, the socket is gone when this returns.
            abort(self._writer.transport)

    async def _say_goodbye(self) -> None:
        """Wait for the peer's end too: closing with unread bytes would reset the connection, and the peer lose ours."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_FAREWELL_LIMIT):
                self._writer.write_eof()
                while await self._reader.read(CHUNK):
                    pass
                self._writer.close()
                await self._writer.wait_closed()


async def pipe(a: Stream, b: Stream) -> None:
    """Copy in both directions until one of the streams ends or fails; then close both.

    The first end is the end of both directions, as upstream: the wire cannot say that only one is over. What
    was read from the stream that ended is written before.
    """
    reason = "the connection was given up"
    try:
        async with asyncio.TaskGroup() as copies:
            copies.create_task(_copy(a, b))
            copies.create_task(_copy(b, a))
    except* _OrderlyEnd:
        reason = ""
    except* (OSError, TunnelError) as failures:
        # If both kinds were raised both clauses run: this one has to be the
        # second, so that the failure counts.
        reason = _text(failures.exceptions[0])
    finally:
        # Side by side: one farewell may take seconds, and the other peer is to hear of the end at once.
        async with asyncio.TaskGroup() as ends:
            ends.create_task(a.close(reason))
            ends.create_task(b.close(reason))


class _OrderlyEnd(Exception):
    """A stream has no more bytes."""


async def _copy(source: Stream, target: Stream) -> None:
    while data := await source.read():
        await target.write(data)
    # Raised, not returned: this is what makes the group cancel the other direction.
    raise _OrderlyEnd


def _text(error: BaseException) -> str:
    if isinstance(error, OSError) and (error.errno or 0) > 0:
        return os.strerror(error.errno or 0)
    return str(error) or type(error).__name__


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
