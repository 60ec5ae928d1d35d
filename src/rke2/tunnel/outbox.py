"""Frames on their way to one websocket, in order.

One task sends; everybody else leaves frames here. So nobody who closes a connection waits for a peer that does
not read, and only the bulk (`put`) is held back.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from typing import Final

from rke2.errors import TunnelError
from rke2.tunnel.frames import Frame, FrameKind

_FULL: Final = 1 << 20
"""Bytes above which `put` waits."""
_ROOM: Final = _FULL // 2
"""Bytes below which it goes on."""
_OVERFLOW: Final = 4 << 20
"""Bytes above which a peer that makes us answer without reading the answers is given up."""

PONG: Final = b""
"""Stands for a websocket pong among the frames, which are never empty."""


class Outbox:
    """The queue, and the session's message counter (which begins anywhere)."""

    def __init__(self) -> None:
        self._messages: deque[bytes] = deque()
        self._size = 0
        self._number = random.getrandbits(62)
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._ended: TunnelError | None = None

    def post(self, connection: int, kind: FrameKind, payload: bytes = b"") -> None:
        """Add a small frame at once; nothing happens after the end."""
        self._number += 1
        self._add(Frame(self._number, connection, kind, payload).encode())

    async def put(self, connection: int, payload: bytes) -> None:
        """Add a Data frame as soon as there is room.

        Raises:
            TunnelError: the session ended.
        """
        # A loop: all writers that wait are woken together, and the first of them may use up the room.
        while not self._room.is_set():
            await self._room.wait()
        if self._ended:
            raise self._ended
        self.post(connection, FrameKind.DATA, payload)

    def answer_ping(self) -> None:
        # One pong answers any number of pings: a peer that pings and never reads must not fill the queue.
        if PONG not in self._messages:
            self._add(PONG)

    def check(self) -> None:
        """Raises TunnelError if the peer does not take the answers it asks for."""
        if self._size > _OVERFLOW:
            raise TunnelError("the peer sends but does not read")

    async def take(self) -> bytes:
        """The next frame, or `PONG`."""
        while not self._messages:
            self._filled.clear()
            await self._filled.wait()
        message = self._messages.popleft()
        self._size -= len(message)
        if self._size <= _ROOM:
            self._room.set()
        return message

    def end(self, reason: TunnelError) -> None:
        """Forget everything and let nobody wait."""
        self._ended = reason
        self._messages.clear()
        self._room.set()

    def _add(self, message: bytes) -> None:
        if self._ended:
            return
        self._messages.append(message)
        self._size += len(message)
        self._filled.set()
        if self._size >= _FULL:
            self._room.clear()
