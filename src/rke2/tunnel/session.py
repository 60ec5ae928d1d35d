"""Many connections over one websocket (supervisor-api 9.3). Both ends of the tunnel run the same machinery.

The supervisor dials; the agent accepts what its authoriser allows, and also keeps the session alive: it pings,
and tells which connections it knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import ClientError, ClientWebSocketResponse, WSMessage, WSMsgType, web

from rke2.errors import TunnelError
from rke2.tunnel.connection import ORDERLY, OVERFLOW, TunnelConnection
from rke2.tunnel.frames import (
    Frame,
    FrameError,
    FrameKind,
    error_payload,
    error_text,
    pack_connections,
    split_address,
    unpack_connections,
)
from rke2.tunnel.outbox import Outbox
from rke2.tunnel.stream import DirectStream, pipe

log = logging.getLogger(__name__)

WebSocket = ClientWebSocketResponse | web.WebSocketResponse
Target = tuple[str, int]
"""Host and port."""
Authorize = Callable[[str, str], Target | None]
"""What to dial for a Connect's protocol and address; None if it is not allowed."""

# Upstream's: the side that dials counts from 2 on, for each session.
_FIRST_CONNECTION: Final = 2


@dataclass(frozen=True)
class TunnelTiming:
    """Seconds."""

    ping: float = 5.0
    """Between two pings of the agent."""
    sync: float = 60.0
    """Between two SyncConnections of the agent."""
    silence: float = 60.0
    """Until a peer is given up that sends nothing, or takes nothing."""
    alive: float = 15.0
    """A session that was heard of within this time (three pings) is not given up for another one."""
    unseen: float = 15.0
    """A connection the peer never named may be missing in its list for so long: its Connect may be under way."""
    farewell: float = 2.0
    """The peer's time to take the websocket's close frame."""


TIMING: Final = TunnelTiming()


class Session:
    """The connections of one websocket.

    Args:
        websocket: connected, best without aiohttp's own answers to pings (`autoping=False`).
        name: the other side, for errors.
        authorize: on agents; None on supervisors, which accept no connections.
    """

    def __init__(
        self,
        websocket: WebSocket,
        name: str,
        authorize: Authorize | None = None,
        timing: TunnelTiming = TIMING,
    ) -> None:
        self._websocket = websocket
        self._name = name
        self._authorize = authorize
        self._timing = timing
        self._outbox = Outbox()
        self._connections: dict[int, TunnelConnection] = {}
        self._dialled: dict[int, float] = {}
        self._next = _FIRST_CONNECTION
        self._tasks: asyncio.TaskGroup | None = None
        self._ended: TunnelError | None = None
        self._heard = time.monotonic()

    def silent_for(self) -> float:
        """Seconds since the peer last said something; its pings count."""
        return time.monotonic() - self._heard

    def __len__(self) -> int:
        """Open connections."""
        return len(self._connections)

    def dial(self, address: str) -> TunnelConnection:
        """A connection to `address`, such as ``tcp/127.0.0.1:10250``.

        Nothing acknowledges it: that it cannot be made is told by the first read.

        Raises:
            TunnelError: the session ended, or the address is not valid.
        """
        if self._ended:
            raise self._ended
        # Refused here: the agent would end the whole session over an address that it cannot read.
        split_address(address.encode())
        connection = self._add(self._next)
        self._next += 1
        self._dialled[connection.number] = time.monotonic()
        self._outbox.post(connection.number, FrameKind.CONNECT, address.encode())
        return connection

    async def run(self) -> TunnelError:
        """Serve until the session ends; tells why. Cancelling ends it too. All its connections end with it."""
        reason = TunnelError(f"the tunnel with {self._name} was closed here")
        # Now: a TLS connection that is gone cannot be asked for its socket any more.
        connection = self._websocket.get_extra_info("socket")
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                tasks.create_task(self._receive())
                tasks.create_task(self._send())
                if self._authorize:
                    tasks.create_task(self._ping())
                    tasks.create_task(self._sync())
        except* TunnelError as failures:
            reason = TunnelError(f"the tunnel with {self._name} ended: {_first(failures)}")
        finally:
            # Before the farewell: readers and writers hear of the end now, not after a peer that may be gone.
            self._end(reason)
            await self._hang_up(reason, connection)
        return reason

    # The tasks.

    async def _receive(self) -> None:
        while True:
            try:
                message = await self._websocket.receive(timeout=self._timing.silence)
            except TimeoutError as error:
                raise TunnelError(f"nothing was heard for {self._timing.silence:.0f} s") from error
            self._heard = time.monotonic()
            # Nothing is awaited in here: answers are posted, so one slow connection
            # does not delay all others.
            self._take_message(message)

    async def _send(self) -> None:
        while True:
            message = await self._outbox.take()
            await self._limited(self._websocket.send_bytes(message) if message else self._websocket.pong())

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(self._timing.ping)
            # Not through the outbox: behind a megabyte of data the sign of life would come too late.
            await self._limited(self._websocket.ping())

    async def _sync(self) -> None:
        while True:
            await asyncio.sleep(self._timing.sync)
            self._outbox.post(0, FrameKind.SYNC_CONNECTIONS, pack_connections(sorted(self._connections)))

    async def _limited(self, sending: Awaitable[None]) -> None:
        """Websockets wait for a peer that does not read; a session does so only for a while."""
        try:
            async with asyncio.timeout(self._timing.silence):
                await sending
        except TimeoutError as error:
            raise TunnelError(f"nothing could be sent for {self._timing.silence:.0f} s") from error
        except (OSError, ClientError) as error:
            raise TunnelError(str(error) or "the connection was lost") from error

    # What the peer says.

    def _take_message(self, message: WSMessage) -> None:
        if message.type is WSMsgType.BINARY:
            self._take(Frame.decode(message.data))
        elif message.type is WSMsgType.PING:
            self._outbox.answer_ping()
        elif message.type is WSMsgType.ERROR:
            raise TunnelError(str(message.data) or "the websocket failed")
        elif message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED):
            raise TunnelError(str(message.extra or "") or "the peer closed the websocket")
        elif message.type is not WSMsgType.PONG:
            raise FrameError("the peer sent a message that is not binary")

    def _take(self, frame: Frame) -> None:
        if frame.kind == FrameKind.CONNECT:
            self._accept(frame)
        elif frame.kind == FrameKind.SYNC_CONNECTIONS:
            self._drop_all_but(unpack_connections(frame.payload))
        elif connection := self._connections.get(frame.connection):
            connection.seen = True
            self._tell(connection, frame)
        elif frame.kind == FrameKind.DATA:
            # Data alone is answered: two sides that answered each other's Errors would never stop.
            self._outbox.check()
            unknown = f"connection not found {self._name}/{frame.connection}"
            self._outbox.post(frame.connection, FrameKind.ERROR, error_payload(unknown))

    def _keep_in_bounds(self, fed: TunnelConnection) -> None:
        """End the connection with the most unread bytes if all together have too many; the session goes on."""
        if not fed.excess:
            return
        connections = list(self._connections.values())
        if sum(each.excess for each in connections) > OVERFLOW:
            max(connections, key=lambda each: each.excess).overflow()

    def _tell(self, connection: TunnelConnection, frame: Frame) -> None:
        """Kinds that are not listed mean nothing here: AddClient and RemoveClient are for peering."""
        if frame.kind == FrameKind.DATA:
            connection.feed(frame.payload)
            self._keep_in_bounds(connection)
        elif frame.kind == FrameKind.PAUSE:
            connection.pause()
        elif frame.kind == FrameKind.RESUME:
            connection.resume()
        elif frame.kind == FrameKind.ERROR:
            text = error_text(frame.payload)
            connection.end(None if text == ORDERLY else TunnelError(f"{self._name}: {text}"))

    def _accept(self, frame: Frame) -> None:
        target = self._authorize(*split_address(frame.payload)) if self._authorize else None
        if target is None:
            # Ends the session, as in upstream's agent: all connections of the node pay for one refusal.
            raise TunnelError("connect not allowed")
        if frame.connection in self._connections:
            raise FrameError(f"connection {frame.connection} is opened twice")
        if self._tasks is None:
            raise TunnelError("the session does not run")
        self._tasks.create_task(_forward(self._add(frame.connection), target))

    def _drop_all_but(self, known: set[int]) -> None:
        """Drop, without a word to the peer, what it does not know any more."""
        too_new = time.monotonic() - self._timing.unseen
        for number in self._connections.keys() - known:
            connection = self._connections[number]
            if connection.seen or self._dialled.get(number, 0.0) < too_new:
                connection.end(TunnelError(f"{self._name} does not know connection {number} any more"))

    # Life of connections and session.

    def _add(self, number: int) -> TunnelConnection:
        connection = TunnelConnection(number, self._outbox, self._forget)
        self._connections[number] = connection
        return connection

    def _forget(self, number: int) -> None:
        self._connections.pop(number, None)
        self._dialled.pop(number, None)

    def _end(self, reason: TunnelError) -> None:
        self._ended = reason
        self._outbox.end(reason)
        # A copy: each connection that ends takes itself out of the table.
        for connection in list(self._connections.values()):
            connection.end(reason)

    async def _hang_up(self, reason: TunnelError, connection: socket.socket | None) -> None:
        """Close the websocket in a bounded time, whatever the peer does."""
        try:
            with contextlib.suppress(OSError, ClientError, TimeoutError):
                async with asyncio.timeout(self._timing.farewell):
                    # A close frame holds 125 bytes, two of them for the code (RFC 6455).
                    await self._websocket.close(message=reason.message.encode()[:120])
        finally:
            _cut(connection)


async def _forward(connection: TunnelConnection, target: Target) -> None:
    """Agent: connect to the target and copy until one of them ends."""
    try:
        stream = await DirectStream.open(*target)
    except TunnelError as error:
        await connection.close(str(error))
        return
    try:
        await pipe(connection, stream)
    except Exception as error:  # one connection must not end the others of its session
        log.exception("a connection through the tunnel failed")
        await connection.close(repr(error))
        await stream.close(repr(error))


def _first(failures: BaseExceptionGroup[TunnelError]) -> str:
    error: BaseException = failures
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)


def _cut(connection: socket.socket | None) -> None:
    """End the TCP connection even if bytes for it still wait: nobody takes them."""
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
