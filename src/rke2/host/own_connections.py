"""Connections of a listener to itself, to see whether it answers; it knows them by their source port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class OwnConnections:
    """Those that are open. A listener lets them in however many others there are, and does nothing for them.

    Whoever asks from the same address by another port is not taken for us: the port is ours while we hold it.
    """

    def __init__(self) -> None:
        self._sources: set[tuple[str, int]] = set()

    def __contains__(self, source: object) -> bool:
        """Whether an address, as the socket gives it, is the source of one of these."""
        return isinstance(source, tuple) and source[:2] in self._sources

    @asynccontextmanager
    async def connect(self, host: str, port: int) -> AsyncIterator[socket.socket]:
        """A connected, non-blocking socket.

        Args:
            host: an address of this machine; the connection comes from it, too.

        Raises:
            OSError: nobody listens, or no socket can be opened.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as connection:
            # Before it connects: the listener may look at the source at once.
            connection.bind((host, 0))
            source = connection.getsockname()[:2]
            self._sources.add(source)
            try:
                await asyncio.get_running_loop().sock_connect(connection, (host, port))
                yield connection
            finally:
                self._sources.discard(source)
