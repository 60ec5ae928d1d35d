"""A local TCP forwarder that holds connections back until its target answers.

The kubelet starts long before the API server. Refused connections send its clients into back-offs of many seconds;
a connection that is merely slow to answer does not. So the kubelet of a server is pointed at this proxy, which
accepts at once and forwards as soon as it is opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from rke2.config.model import APISERVER_PORT
from rke2.errors import HostError

log = logging.getLogger(__name__)

_CHUNK = 1 << 18


class LocalApiProxy:
    """Forwards ``127.0.0.1:<port>`` to a TCP target once it is open.

    Args:
        port: local port; 0 lets the kernel choose (see `port` after `start`).
        target: host and port behind the proxy; the node's own API server if not given.
    """

    def __init__(self, port: int, target: tuple[str, int] = ("127.0.0.1", APISERVER_PORT)) -> None:
        self.port = port
        self._target = target
        self._open = asyncio.Event()
        self._paused = False
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def accepts(self) -> bool:
        """Whether connections are accepted (and held or forwarded) instead of refused."""
        return self._server is not None

    @property
    def is_open(self) -> bool:
        return self._open.is_set()

    async def start(self) -> None:
        """Begin to accept, first or again; does nothing if it does already.

        Raises:
            HostError: the port is taken.
        """
        if self.accepts:
            return
        try:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        except OSError as error:
            raise HostError(
                f"the local API server port {self.port} cannot be used: {error.strerror}",
                "stop what listens there, or choose another lb-server-port",
            ) from error
        self._paused = False
        self.port = self._server.sockets[0].getsockname()[1]

    def open(self) -> None:
        """Let the waiting and all later connections through."""
        self._open.set()

    @property
    def paused(self) -> bool:
        """Whether it refuses what it accepted before, until the next `start`."""
        return self._paused

    async def pause(self) -> None:
        """Refuse from now on and end all connections, as if nothing had ever listened here."""
        await self.close()
        self._server, self._paused = None, True
        # The next `start` holds its connections until `open`, as the first one did (ADR 0041).
        self._open.clear()

    async def close(self) -> None:
        """Stop accepting and end all connections."""
        if self._server:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "stream callbacks run in tasks"
        self._connections.add(task)
        try:
            await self._forward(reader, writer)
        except OSError as error:
            log.debug("API server %s:%d: %s", *self._target, error)
        except asyncio.CancelledError:
            pass  # by `close`; Python 3.11 logs an error for a stream's task that ends as cancelled
        finally:
            self._connections.discard(task)
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A held client only sees a slow TLS handshake, for which it allows ten seconds (ADR 0005).
        await self._open.wait()
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, upstream_writer))
                group.create_task(_copy(upstream_reader, writer))
        except* OSError:
            pass  # one side went away; closing both tells the other
        finally:
            upstream_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    # A half-close: the answer to what was sent last may still be on its way in the other direction.
    with contextlib.suppress(OSError):
        writer.write_eof()
