"""One connection inside a session: its unread bytes, and the flow control of both directions."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from rke2.errors import TunnelError
from rke2.tunnel.frames import MESSAGE_LIMIT, FrameKind, error_payload
from rke2.tunnel.outbox import Outbox
from rke2.tunnel.stream import CHUNK

HIGH_WATER: Final = 2 << 20
"""Unread bytes above which the peer is told to pause."""
LOW_WATER: Final = 256 << 10
"""Unread bytes below which it may go on."""
OVERFLOW: Final = MESSAGE_LIMIT + (32 << 20)
"""Unread bytes above `HIGH_WATER` of all connections of a session: the message that made us tell the peer to pause may
be of any size taken, and what is under way meanwhile is far less than the rest. A peer that pauses stays near none."""
ORDERLY: Final = "EOF"
"""Text of the Error frame that is no error."""


class TunnelConnection:
    """A `Stream` to the other side of a session.

    Args:
        number: its id on the wire.
        forget: called with the id as soon as the session need not know the connection any more.
    """

    def __init__(self, number: int, outbox: Outbox, forget: Callable[[int], None]) -> None:
        self.number = number
        self.seen = False
        """Whether the peer ever named this connection."""
        self._outbox = outbox
        self._forget = forget
        self._unread: deque[bytes] = deque()
        self._size = 0
        self._paused = False
        self._arrived = asyncio.Event()
        self._allowed = asyncio.Event()
        self._allowed.set()
        self._over = False
        self._error: TunnelError | None = None

    async def read(self) -> bytes:
        """Some bytes; ``b""`` after the orderly end. What came before a failure is read before it is raised.

        Raises:
            TunnelError: the peer or the session failed.
        """
        while not self._unread:
            if self._error:
                raise self._error
            if self._over:
                return b""
            # Nothing is awaited between the looks above and this: an arrival in between would be lost.
            self._arrived.clear()
            await self._arrived.wait()
        data = self._unread.popleft()
        self._size -= len(data)
        self._resume()
        return data

    async def write(self, data: bytes) -> None:
        """Send `data`; waits while the peer paused. After the peer's orderly end it goes nowhere, as with TCP.

        Raises:
            TunnelError: the peer or the session failed.
        """
        # In pieces: a Pause takes effect after one of them, and other connections
        # get their turn in the outbox.
        for start in range(0, len(data), CHUNK):
            await self._allowed.wait()
            # Looked at after the wait: a session that ends wakes up writers whose peer had paused them.
            if self._error:
                raise self._error
            if self._over:
                return
            await self._outbox.put(self.number, data[start : start + CHUNK])

    async def close(self, reason: str = "") -> None:
        """End the connection and tell the peer why; never waits. Who still reads or writes gets a TunnelError."""
        if not self._over:
            self._break_off(reason or ORDERLY, TunnelError(reason or "the connection is closed"))

    def _break_off(self, told: str, error: TunnelError) -> None:
        """End it and forget what is unread."""
        self._outbox.post(self.number, FrameKind.ERROR, error_payload(told))
        self._unread.clear()
        self._size = 0
        self.end(error)

    # What the session tells.

    def feed(self, data: bytes) -> None:
        """Bytes of the peer; it is told to pause if they are too many."""
        # An empty frame must not be queued: to a reader b"" is the orderly end.
        if not data:
            return
        self._unread.append(data)
        self._size += len(data)
        self._arrived.set()
        if self.excess and not self._paused:
            self._paused = True
            self._outbox.post(self.number, FrameKind.PAUSE)

    @property
    def excess(self) -> int:
        """Unread bytes above those at which the peer was told to pause."""
        return max(0, self._size - HIGH_WATER)

    def overflow(self) -> None:
        """End it: the peer goes on sending although it was told to pause."""
        reason = f"more than {OVERFLOW >> 20} MiB were sent to paused connections"
        self._break_off(reason, TunnelError(reason))

    def pause(self) -> None:
        self._allowed.clear()

    def resume(self) -> None:
        self._allowed.set()

    def end(self, error: TunnelError | None = None) -> None:
        """Nothing more comes: an orderly end, or a failure."""
        if self._over:
            return
        self._over, self._error = True, error
        self._arrived.set()
        # A peer that paused and is gone will never send Resume: writers would wait forever.
        self._allowed.set()
        # The session forgets it now; a reader still gets what is unread.
        self._forget(self.number)

    def _resume(self) -> None:
        if self._paused and self._size < LOW_WATER and not self._over:
            self._paused = False
            self._outbox.post(self.number, FrameKind.RESUME)
