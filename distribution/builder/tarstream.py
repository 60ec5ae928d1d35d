"""Tar written member by member into anything that takes bytes.

`tarfile.TarFile` pads its end according to the position of the underlying file, so the same members would give
different bytes inside a hash and inside an archive. Here the bytes depend on the members alone.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from typing import Protocol

EPOCH = 1787270400
"""2026-08-21T00:00:00Z, the day of the upstream release this distribution follows (SOURCE_DATE_EPOCH)."""

CHUNK = 1 << 20
_BLOCK = tarfile.BLOCKSIZE


class Sink(Protocol):
    """Whatever bytes can be written to."""

    def write(self, data: bytes, /) -> int | None:
        """Take all of `data`."""


def add(out: Sink, info: tarfile.TarInfo, write_content: Callable[[Sink], None]) -> None:
    """Write one member.

    Args:
        info: its header; `size` must be what `write_content` will write. The time is set to `EPOCH`.
    """
    info.mtime = EPOCH
    out.write(info.tobuf(tarfile.PAX_FORMAT))
    write_content(out)
    out.write(bytes(-info.size % _BLOCK))


def end(out: Sink) -> None:
    """Write the end marker."""
    out.write(bytes(2 * _BLOCK))
