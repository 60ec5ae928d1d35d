"""A client's connection and one to a server, each passing on what it receives to the other.

Callbacks and transports instead of streams and tasks: half the CPU time, and nothing but two sockets per connection
(``tests/bench/loadbalancer.py``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rke2.host.transports import pause_at_the_start

HALF_CLOSED = 60.0
"""Seconds the other direction remains open after the end of one. A client that is gone looks like one that is just
done with sending; without a limit its connection to the server could stay forever."""


class Side(asyncio.Protocol):
    """One of the two connections. It reads nothing until `join` gives it a peer.

    Args:
        accepted: called once the connection is there.
    """

    transport: asyncio.Transport

    def __init__(self, accepted: Callable[[Side], None] | None = None) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the connection is closed."""
        self.peer: Side | None = None
        self._accepted = accepted
        self._ended = False
        self._limit: asyncio.TimerHandle | None = None

    def join(self, peer: Side) -> None:
        """Pass on everything from now on, in both directions; when one connection ends, so does the other."""
        # Before either side reads: `data_received` passes on at once and needs the other one.
        self.peer, peer.peer = peer, self
        # A client may have left while the server was dialled; nothing was read, so nobody has noticed yet.
        for side in (self, peer):
            if side.lost.done():
                side._other.transport.close()
            else:
                side.transport.resume_reading()

    def abort(self) -> None:
        """Close both at once; data that is on its way is lost."""
        self.transport.abort()
        if self.peer:
            self.peer.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        # Until there is somebody to pass it on to, what a client sends stays in the kernel: its window is the limit.
        pause_at_the_start(transport)
        if self._accepted:
            self._accepted(self)

    def data_received(self, data: bytes) -> None:
        self._other.transport.write(data)

    def pause_writing(self) -> None:
        self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        self._other.transport.resume_reading()

    def eof_received(self) -> bool:
        self._ended = True
        if self._other._ended:
            return False  # closes both; what the buffers still hold goes out first
        try:
            self._other.transport.write_eof()
        except OSError:  # reset meanwhile
            return False
        self._limit = asyncio.get_running_loop().call_later(HALF_CLOSED, self.abort)
        # True keeps this transport open for the other direction; asyncio would close it.
        return True

    def connection_lost(self, error: Exception | None) -> None:
        if self._limit:
            self._limit.cancel()
        if self.peer:
            # Not `abort`: what this side received before its end still goes out to the other.
            self.peer.transport.close()
        self.lost.set_result(None)

    @property
    def _other(self) -> Side:
        assert self.peer, "nothing is read before both sides are there"
        return self.peer
