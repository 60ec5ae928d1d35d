"""Frames of the tunnel: one binary websocket message each (supervisor-api 9.3).

::

    id  connection  kind  [deadline, only Data and Connect]  payload…

All numbers are signed zig-zag varints of 64 bits, as of protobuf's sint64.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from rke2.errors import TunnelError

MESSAGE_LIMIT: Final = 64 << 20
"""Bytes of the largest websocket message taken. Upstream sends what one write of a stream held, usually 32 KiB, as one
message, and takes messages of any size. Here a longer one ends the session: it would have to be held in memory."""
ADDRESS_LIMIT: Final = 266
"""Bytes of a Connect payload: ``tcp/``, a host name, a port."""
ERROR_LIMIT: Final = 100
"""Bytes of an Error payload that are read; the rest is ignored."""

_DEADLINE: Final = 15000
"""Milliseconds. Nobody reads it any more; upstream still writes it."""
_BITS: Final = 0xFFFF_FFFF_FFFF_FFFF
# Bytes: 64 bits in groups of seven.
_LONGEST: Final = 10


class FrameError(TunnelError):
    """A message that is no frame; the session it came by cannot go on."""


class FrameKind(IntEnum):
    DATA = 1
    CONNECT = 2
    ERROR = 3
    ADD_CLIENT = 4
    REMOVE_CLIENT = 5
    PAUSE = 6
    RESUME = 7
    SYNC_CONNECTIONS = 8


_WITH_DEADLINE: Final = (FrameKind.DATA, FrameKind.CONNECT)


@dataclass(frozen=True, slots=True)
class Frame:
    """One message.

    Args:
        id: message counter of the sender, for people only.
        connection: connection id of this session.
        kind: a `FrameKind`; others are left to the reader to ignore, as upstream does.
    """

    id: int
    connection: int
    kind: int
    payload: bytes = b""

    def encode(self) -> bytes:
        head = _varint(self.id) + _varint(self.connection) + _varint(self.kind)
        if self.kind in _WITH_DEADLINE:
            head += _ENCODED_DEADLINE
        return head + self.payload

    @classmethod
    def decode(cls, message: bytes) -> Frame:
        """Read what `encode` writes.

        Raises:
            FrameError: a number is cut off or longer than 64 bits.
        """
        number, at = _read_varint(message, 0)
        connection, at = _read_varint(message, at)
        kind, at = _read_varint(message, at)
        if kind in _WITH_DEADLINE:
            _, at = _read_varint(message, at)
        return cls(number, connection, kind, message[at:])


def split_address(payload: bytes) -> tuple[str, str]:
    """Protocol and address of a Connect: ``tcp`` and ``127.0.0.1:10250``.

    Raises:
        FrameError: too long, no UTF-8, or without protocol.
    """
    if len(payload) > ADDRESS_LIMIT:
        raise FrameError(f"a Connect names an address of more than {ADDRESS_LIMIT} bytes")
    try:
        network, slash, address = payload.decode().partition("/")
    except UnicodeDecodeError as error:
        raise FrameError("a Connect names an address that is no text") from error
    if not slash:
        raise FrameError(f"a Connect names an address without protocol: {network!r}")
    return network, address


def error_payload(text: str) -> bytes:
    """An Error's text, cut to what is read."""
    # May cut a character in two, which `error_text` replaces.
    return text.encode()[:ERROR_LIMIT]


def error_text(payload: bytes) -> str:
    return payload[:ERROR_LIMIT].decode(errors="replace")


def pack_connections(numbers: Iterable[int]) -> bytes:
    """Payload of SyncConnections: little-endian unsigned 64-bit ids."""
    # Ids are signed in a frame's header and unsigned here; the mask makes one of the other, as in Go.
    return b"".join(struct.pack("<Q", number & _BITS) for number in numbers)


def unpack_connections(payload: bytes) -> set[int]:
    """Read what `pack_connections` writes.

    Raises:
        FrameError: the last id is cut off.
    """
    if len(payload) % 8:
        raise FrameError("the last connection id of a SyncConnections is cut off")
    return {number for (number,) in struct.iter_unpack("<q", payload)}


def _varint(number: int) -> bytes:
    rest = ((number << 1) ^ (number >> 63)) & _BITS
    encoded = bytearray()
    while rest > 0x7F:
        encoded.append(rest & 0x7F | 0x80)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)


_ENCODED_DEADLINE: Final = _varint(_DEADLINE)


def _read_varint(message: bytes, start: int) -> tuple[int, int]:
    """The number at `start`, and where the next field is."""
    number = 0
    for offset, byte in enumerate(message[start : start + _LONGEST]):
        number |= (byte & 0x7F) << 7 * offset
        if byte < 0x80:
            if number > _BITS:
                break
            return number >> 1 ^ -(number & 1), start + offset + 1
    else:
        if len(message) - start < _LONGEST:
            raise FrameError("a message ends inside a frame's header")
    raise FrameError("a number in a frame's header is longer than 64 bits")
