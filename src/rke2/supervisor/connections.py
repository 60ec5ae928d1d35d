"""Connections to port 9345 from the moment they are accepted: TLS, and limits on clients that prove nothing.

Only so many clients that have not authenticated yet may be connected (`unauthenticated`), and each
must finish its TLS handshake and then every request head within seconds: neither silence nor a byte now and then holds
a place. Nor do requests without credentials, however many, or answers that are not taken: a client that has not
authenticated after a minute has to go. Authenticated clients are not counted.

What a connection may hold in memory is limited, too, with what asyncio keeps for TLS: about 60 KiB while it is idle,
and below 300 KiB whatever its client does.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from rke2.host.own_connections import OwnConnections
from rke2.host.transports import abort
from rke2.supervisor.unauthenticated import Place, UnauthenticatedConnections

log = logging.getLogger(__name__)

HEAD_SECONDS = 10.0
"""From a connection's first byte, or that of its next request, to the end of the request's head."""
PROOF_SECONDS = 60.0
"""From the handshake to the first request with valid credentials. Nodes show theirs at once; what they and others ask
for without any (the CA bundle, ``/ping``) needs a moment."""
_HANDSHAKE_SECONDS = 10
_SHUTDOWN_SECONDS = 5
_IDLE_SECONDS = 75.0
_OUT_OF_FILES_PAUSE = 0.2
_BROKEN = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK, errno.EOPNOTSUPP})
"""What accept(2) says of a socket that will never have a connection again; all else passes, or is one client's."""
_MOST_BUFFERED = 64 * 1024
"""Bytes in each direction that wait in memory for one who does not read."""


class ClientConnection(RequestHandler):
    """aiohttp's HTTP protocol with deadlines, which it does not have itself: for heads of requests, and for proof."""

    __slots__ = ("_answering", "_deadline", "_place", "_proof")

    def __init__(self, http: web.Server, place: Place) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(http, loop=loop, keepalive_timeout=_IDLE_SECONDS, access_log=None)  # type: ignore[arg-type]
        self._place = place
        self._answering = False
        self._deadline: asyncio.TimerHandle | None = None
        self._proof: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(_MOST_BUFFERED)
        transport.set_read_buffer_limits(_MOST_BUFFERED)  # type: ignore[attr-defined]  # TLS transports have it
        self._expect_head()
        # Not begun again by a request, as the deadline for heads is:
        # else one question a minute would hold the place.
        self._proof = self._loop.call_later(PROOF_SECONDS, self._give_up)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._expect_nothing()
        self.proven()
        super().connection_lost(exc)

    def proven(self) -> None:
        """The client has authenticated, or is gone: its place is free."""
        self._place.free()
        if self._proof:
            self._proof.cancel()
            self._proof = None

    def detain(self, seconds: float) -> None:
        """Keep the client's place among the unauthenticated taken for so long, even if it goes away."""
        self._place.detain(seconds)

    def data_received(self, data: bytes) -> None:
        # The first byte of a next request: from here on its head may
        # take so long, not while the connection is idle.
        if not self._answering and self._deadline is None:
            self._expect_head()
        super().data_received(data)

    def began(self) -> None:
        """A request's head has been read; its answer is being made."""
        self._answering = True
        # From here on the limit of the route holds: a body may take longer than a head.
        self._expect_nothing()

    def answered(self) -> None:
        """The answer is made; what comes now is the next request."""
        self._answering = False

    def finish(self) -> None:
        """End the connection with the answer that is being made; now, if there is none."""
        if self._answering:
            self.close()
        elif self.transport:
            # Not `close`: of a connection that waits for a request, aiohttp's ends the task and not the connection.
            self.transport.close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """A connection that ended meanwhile, or was made a tunnel, gets no answer and is no error."""
        if isinstance(exc, ConnectionError):
            raise exc
        return super().handle_error(request, status, exc, message)

    def _expect_head(self) -> None:
        self._deadline = self._loop.call_later(HEAD_SECONDS, self._give_up)

    def _expect_nothing(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        # Kept: `force_close` forgets it, and closes it in a way that
        # waits for a client which takes no answer.
        transport = self.transport
        self._expect_nothing()
        self.force_close()
        abort(transport)


class ListenerTLS(SSLProtocol):
    """asyncio's TLS with a smaller buffer for what is received: it has one as long as the connection lasts.

    `asyncio` offers no other way to its size, which is 256 KiB.
    """

    max_size = 32 * 1024


class Acceptor:
    """Accepts connections and takes them through the TLS handshake.

    Args:
        context: the TLS context of the next connection; called with this machine's address in it.
        protocol: makes the protocol of a connection.
        own: the process's own connections, which are let in even if no place is free.
    """

    def __init__(
        self,
        context: Callable[[str], ssl.SSLContext],
        protocol: Callable[[Place], asyncio.Protocol],
        unauthenticated: UnauthenticatedConnections,
        own: OwnConnections,
    ) -> None:
        self._context, self._protocol, self._unauthenticated, self._own = (
            context,
            protocol,
            unauthenticated,
            own,
        )

    async def keep_open(self, listener: socket.socket) -> None:
        """Accept on `listener` until cancelled.

        Raises:
            OSError: the socket itself is broken; another one is needed.
        """
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        async with asyncio.TaskGroup() as handshakes:
            while True:
                try:
                    client, address = await loop.sock_accept(listener)
                except OSError as error:
                    if error.errno in _BROKEN:
                        raise
                    # Mostly no file descriptor is free, which lasts until some
                    # connection ends: without a pause this loop spins.
                    log.warning("The supervisor cannot accept a connection: %s", error)
                    await asyncio.sleep(_OUT_OF_FILES_PAUSE)
                    continue
                # A place is taken inside the task: whatever fails for one client ends neither this loop nor the others.
                handshakes.create_task(self._accept(client, address))

    async def _accept(self, client: socket.socket, source: Any) -> None:
        place: Place | None = None
        try:
            # Whoever fills all places must not make the node believe that its own supervisor does not answer.
            place = Place() if source in self._own else self._unauthenticated.enter(str(source[0]))
            if place:
                await self._handshake(client, place)
            else:
                log.debug("Too many connections without authentication; one more from %s", source[0])
                client.close()
        except BaseException as error:
            # Also when this listener is stopped: a place that stays taken is lost until the process ends.
            if place:
                place.free()
            client.close()
            if not isinstance(error, Exception):
                raise
            level = logging.DEBUG if isinstance(error, OSError) else logging.ERROR
            log.log(level, "TLS handshake failed: %r", error)

    async def _handshake(self, client: socket.socket, place: Place) -> None:
        """What ``connect_accepted_socket(ssl=…)`` does, with `ListenerTLS`."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        tls = ListenerTLS(
            loop,
            self._protocol(place),
            self._context(_local(client)),
            done,
            server_side=True,
            ssl_handshake_timeout=_HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
        )
        transport, _ = await loop.connect_accepted_socket(lambda: tls, client)
        try:
            await done
        except BaseException:
            # The transport has the socket by now: closing the socket alone would leave it behind.
            transport.close()
            raise


def _local(client: socket.socket) -> str:
    try:
        name: Any = client.getsockname()
    except OSError:
        return ""
    return str(name[0])
