"""A snapshot from etcd's stream to a file: never whole in memory, its SHA-256 compared while it is written.

The stream is the database followed by its SHA-256. A database is a whole number of sectors, so a file of which
``size % 512 == 32`` does not hold has lost its end; etcd's own tools look no further until the restore
(``etcdutl snapshot status`` accepts a file without its sum).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from rke2.errors import EtcdError, HostError
from rke2.etcd.messages import SnapshotResponse
from rke2.snapshots.names import PART

MODE = 0o600
DIGEST = hashlib.sha256().digest_size
SECTOR = 512
BUFFER = 1 << 20
"""Bytes that are collected for one write; more would cost memory and gain nothing."""


@dataclass(frozen=True)
class Received:
    """A complete snapshot on disk: bytes with the sum, the sum in hexadecimal, and etcd's storage version."""

    size: int
    sha256: str
    version: str


class Summed:
    """The SHA-256 of everything but the last 32 bytes, which are to be the sum."""

    def __init__(self) -> None:
        self._sum, self._tail, self._size = hashlib.sha256(), b"", 0

    def feed(self, data: bytes | bytearray) -> None:
        self._size += len(data)
        if len(data) < DIGEST:
            data = self._tail + data
            self._tail = b""
        view = memoryview(data)
        self._sum.update(self._tail)
        self._sum.update(view[:-DIGEST])
        self._tail = bytes(view[-DIGEST:])

    def check(self, what: object) -> str:
        """The sum, in hexadecimal.

        Raises:
            EtcdError: `what` is not a whole snapshot.
        """
        if self._size % SECTOR != DIGEST:
            raise EtcdError(
                f"{what}: sha256 checksum not found [bytes: {self._size}]",
                "it is cut off, or is a copy of a database file; use a file that a snapshot was saved to",
                code="DATA_LOSS",
            )
        if self._sum.digest() != self._tail:
            raise EtcdError(
                f"{what}: expected sha256 {self._tail.hex()}, got {self._sum.hexdigest()}",
                "its content was changed after etcd sent it; use another snapshot, and check the disk",
                code="DATA_LOSS",
            )
        return self._tail.hex()

    @property
    def size(self) -> int:
        return self._size


def check_file(path: Path) -> Received:
    """See that the file is a whole snapshot, uncompressed.

    Raises:
        EtcdError: it is not.
        OSError: it cannot be read.
    """
    summed = Summed()
    with path.open("rb") as file:
        while data := file.read(BUFFER):
            summed.feed(data)
    return Received(summed.size, summed.check(path), "")


async def receive(parts: AsyncIterator[SnapshotResponse], target: Path) -> Received:
    """Write a snapshot to `target`, by way of ``<target>.part``.

    Raises:
        EtcdError: etcd broke off, or what came is not what it was to be; there is no file then.
        HostError: the file cannot be written.
    """
    part = target.with_name(target.name + PART)
    try:
        received = await _fill(parts, part)
        await asyncio.to_thread(put_in_place, part, target)
    except OSError as error:
        raise HostError.of(error, f"cannot write {target}") from error
    finally:
        part.unlink(missing_ok=True)
    return received


async def _fill(parts: AsyncIterator[SnapshotResponse], path: Path) -> Received:
    summed, pending, version = Summed(), bytearray(), ""
    with open_new(path) as file:
        async with _Writing(file, summed) as writing:
            # Closed by hand: an iterator that is left behind keeps the request, and etcd's read transaction, open.
            async with aclosing(cast("AsyncGenerator[SnapshotResponse, None]", parts)) as stream:
                async for each in stream:
                    pending += each.blob
                    version = each.version or version
                    if len(pending) >= BUFFER:
                        await writing.add(pending)
                        pending = bytearray()
            await writing.add(pending)
        digest = summed.check("the snapshot that etcd sent")
        await asyncio.to_thread(synced, file)
    return Received(summed.size, digest, version)


class _Writing:
    """Writes and sums one buffer while the next one fills: two buffers of memory, however slow the disk is.

    Whatever ends the block waits for the write that is going on: its thread must not meet a file that is closed.
    """

    def __init__(self, file: IO[bytes], summed: Summed) -> None:
        self._file, self._summed = file, summed
        self._going: asyncio.Future[None] | None = None

    async def __aenter__(self) -> _Writing:
        return self

    async def add(self, data: bytearray) -> None:
        """Begin to write `data`, which nobody may change any more; the write before it is done then."""
        await self._settle()
        self._going = asyncio.get_running_loop().run_in_executor(None, _write, self._file, self._summed, data)

    async def _settle(self) -> None:
        if self._going is not None:
            await asyncio.shield(self._going)

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        if error is None:
            await self._settle()
        elif self._going is not None:
            await asyncio.wait([self._going])


def _write(file: IO[bytes], summed: Summed, data: bytes | bytearray) -> None:
    file.write(data)
    summed.feed(data)


def open_new(path: Path) -> IO[bytes]:
    """A new file for its owner alone; nothing is followed or kept that stands in its place.

    Raises:
        OSError: it cannot be made.
    """
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, MODE), "w+b")


def synced(file: IO[bytes]) -> None:
    """Have the content on the disk."""
    file.flush()
    os.fsync(file.fileno())


def put_in_place(part: Path, target: Path) -> None:
    """Give a complete and synced file its name, durably: after a power cut there is all of it or nothing."""
    part.rename(target)
    directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
