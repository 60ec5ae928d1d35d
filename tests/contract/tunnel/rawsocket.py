"""Websockets by hand, either side, so that every byte on the wire is the test's own."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from dataclasses import dataclass

BINARY, TEXT, CLOSE, PING, PONG = 2, 1, 8, 9, 10
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class RawSocket:
    """A connected websocket.

    Args:
        mask: clients have to mask what they send.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    mask: bool

    async def send(self, payload: bytes, kind: int = BINARY) -> None:
        """A whole message in one frame."""
        size = len(payload)
        bit = 0x80 if self.mask else 0
        if size < 126:
            head = bytes([0x80 | kind, bit | size])
        elif size < 65536:
            head = bytes([0x80 | kind, bit | 126]) + size.to_bytes(2, "big")
        else:
            head = bytes([0x80 | kind, bit | 127]) + size.to_bytes(8, "big")
        # A mask of zeros leaves the payload as it is.
        self.writer.write(head + (bytes(4) if self.mask else b"") + payload)
        await self.writer.drain()

    async def receive(self) -> tuple[int, bytes]:
        """Kind and payload of the next message."""
        first, second = await self.reader.readexactly(2)
        assert first & 0x80, "fragmented"
        size = second & 0x7F
        if size >= 126:
            size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
        mask = await self.reader.readexactly(4) if second & 0x80 else bytes(4)
        masked = await self.reader.readexactly(size)
        return first & 0x0F, bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked))

    async def expect(self, kind: int) -> bytes:
        """The next message of a kind; others are skipped."""
        while True:
            got, payload = await self.receive()
            if got == kind:
                return payload

    async def body(self) -> bytes:
        """The next tunnel frame without its id, which begins anywhere."""
        message = await self.expect(BINARY)
        at = next(at for at, byte in enumerate(message) if byte < 0x80)
        return message[at + 1 :]

    async def closed(self) -> bytes:
        """Wait for the end; the close frame's reason."""
        reason = b""
        try:
            while True:
                kind, payload = await self.receive()
                if kind == CLOSE:
                    reason = payload[2:]
                    await self.send(payload, CLOSE)
        except (asyncio.IncompleteReadError, ConnectionError):
            return reason

    def drop(self) -> None:
        self.writer.transport.abort()


async def dial(port: int, path: str) -> RawSocket:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 101 "), answer
    assert b"extensions" not in answer.lower()
    return RawSocket(reader, writer, mask=True)


async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, RawSocket]:
    """A server's side; also the request's head."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    key = next(line for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key"))
    digest = hashlib.sha1(key.partition(": ")[2].encode() + _MAGIC).digest()
    assert fields["upgrade"] == "websocket"
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )
    return head, RawSocket(reader, writer, mask=False)
