"""What a request sends: bytes, or a part of a file that is never whole in memory.

The store compares what arrives with a sum that is sent before it. Without TLS that is the SHA-256 which the signature
covers. Inside of TLS nobody can change a part, and a CRC-32 finds what memory and disks do to it: SHA-256 on both sides
is a third of what an upload costs.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from rke2.s3.signing import EMPTY, UNSIGNED

CHUNK = 1 << 20
PIECE = 256 << 10
"""Bytes of a file that are sent at once: each piece is copied for TLS several times."""


@dataclass(frozen=True)
class Body:
    """Content, and what the store compares with what arrives.

    Args:
        size: in bytes.
        sha256: in hexadecimal, or `UNSIGNED` if there is a `crc32`.
        crc32: in base64, as it goes over the wire; empty if the SHA-256 is signed.
    """

    size: int
    sha256: str
    content: bytes = b""
    crc32: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What a request has to say of its sum, besides what is signed."""
        return {"x-amz-checksum-crc32": self.crc32} if self.crc32 else {}

    @classmethod
    def of(cls, content: bytes) -> Body:
        return cls(len(content), hashlib.sha256(content).hexdigest(), content)

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.content


class Nothing(Body):
    """No content."""

    def __init__(self) -> None:
        super().__init__(0, EMPTY)


@dataclass(frozen=True)
class FilePart(Body):
    """`size` bytes of the open file `descriptor` from `start` on; may be sent again."""

    descriptor: int = -1
    start: int = 0

    @classmethod
    def read(cls, descriptor: int, start: int, size: int, *, signed: bool) -> FilePart:
        """The part, after its sum has been computed; to be called in a thread.

        Args:
            signed: have the signature cover the content.

        Raises:
            OSError: the file cannot be read, or is shorter.
        """
        if signed:
            found = hashlib.sha256()
            for piece in _each(descriptor, start, size):
                found.update(piece)
            return cls(size, found.hexdigest(), b"", "", descriptor, start)
        crc = 0
        for piece in _each(descriptor, start, size):
            crc = zlib.crc32(piece, crc)
        return cls(size, UNSIGNED, b"", base64.b64encode(crc.to_bytes(4, "big")).decode(), descriptor, start)

    async def chunks(self) -> AsyncIterator[bytes]:
        for done in range(0, self.size, CHUNK):
            wanted = min(CHUNK, self.size - done)
            # Several with one change to a thread and back: where the processors are busy, that is what takes time.
            for piece in await asyncio.to_thread(_pieces, self.descriptor, self.start + done, wanted):
                yield piece


def _pieces(descriptor: int, start: int, size: int) -> list[bytes]:
    return list(_each(descriptor, start, size))


def _each(descriptor: int, start: int, size: int) -> Iterator[bytes]:
    done = 0
    while done < size:
        piece = _read(descriptor, start + done, min(PIECE, size - done))
        yield piece
        done += len(piece)


def _read(descriptor: int, start: int, size: int) -> bytes:
    chunk = os.pread(descriptor, size, start)
    if not chunk:
        raise OSError(f"the file became shorter than {start + size} bytes while it was read")
    return chunk
