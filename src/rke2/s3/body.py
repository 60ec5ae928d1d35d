"""What a request sends: bytes, or a part of a file that is never whole in memory."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

from rke2.s3.signing import EMPTY

CHUNK = 1 << 20


@dataclass(frozen=True)
class Body:
    """Content with its size in bytes and its SHA-256 in hexadecimal, which the store compares with what arrives."""

    size: int
    sha256: str
    content: bytes = b""

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
    def read(cls, descriptor: int, start: int, size: int) -> FilePart:
        """The part, after its hash has been computed; to be called in a thread.

        Raises:
            OSError: the file cannot be read, or is shorter.
        """
        found, done = hashlib.sha256(), 0
        while done < size:
            chunk = _read(descriptor, start + done, min(CHUNK, size - done))
            found.update(chunk)
            done += len(chunk)
        return cls(size, found.hexdigest(), b"", descriptor, start)

    async def chunks(self) -> AsyncIterator[bytes]:
        done = 0
        while done < self.size:
            wanted = min(CHUNK, self.size - done)
            chunk = await asyncio.to_thread(_read, self.descriptor, self.start + done, wanted)
            yield chunk
            done += len(chunk)


def _read(descriptor: int, start: int, size: int) -> bytes:
    chunk = os.pread(descriptor, size, start)
    if not chunk:
        raise OSError(f"the file became shorter than {start + size} bytes while it was read")
    return chunk
