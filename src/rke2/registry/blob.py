"""One blob to disk: verified while it arrives, continued where it broke off, in place only when it is whole."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import aiohttp

from rke2.errors import RegistryError
from rke2.registry.connection import CHUNK, RegistryConnection
from rke2.registry.manifest import Descriptor

PAUSE = 0.5
"""Seconds before a download that had advanced is continued."""


def file_name(descriptor: Descriptor) -> str:
    """The name of a blob's file: its digest."""
    return descriptor.digest.replace(":", "-")


class PartialBlob:
    """The beginning of a blob in a file, and the hash of it. Every method blocks.

    What an earlier process has left is taken over, whole blobs, too: all of it is hashed again.
    """

    def __init__(self, directory: Path, descriptor: Descriptor) -> None:
        self._target = directory / file_name(descriptor)
        self._path = self._target.with_name(f"{self._target.name}.part")
        self._descriptor = descriptor
        if self._target.exists():
            self._target.replace(self._path)
        self._file: BinaryIO = self._path.open("a+b")
        self.size = 0
        self._hash = self._fresh_hash()
        self._take_over()

    def _fresh_hash(self) -> hashlib._Hash:
        return hashlib.new(self._descriptor.digest.partition(":")[0])

    def _take_over(self) -> None:
        self._file.seek(0)
        while chunk := self._file.read(CHUNK):
            self._hash.update(chunk)
            self.size += len(chunk)
        if self.size > self._descriptor.size:
            self.restart()

    def append(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)

    def restart(self) -> None:
        """Forget all of it."""
        self._file.truncate(0)
        self.size, self._hash = 0, self._fresh_hash()

    @property
    def complete(self) -> bool:
        return self.size == self._descriptor.size

    def finish(self) -> Path:
        """Put the blob in its place.

        Raises:
            RegistryError: its content is not that of the digest; all of it is forgotten.
        """
        if self._hash.hexdigest() != self._descriptor.digest.partition(":")[2]:
            self.restart()
            raise RegistryError("another content than the digest says")
        self._file.close()
        self._path.replace(self._target)
        return self._target

    def close(self) -> None:
        """Keep what there is for the next attempt."""
        self._file.close()
        if self.size == 0:
            self._path.unlink(missing_ok=True)


async def fetch(
    connection: RegistryConnection,
    repository: str,
    descriptor: Descriptor,
    part: PartialBlob,
    arrived: Callable[[int], None] = lambda size: None,
) -> Path:
    """Have the blob on disk; a download that breaks off is continued as long as it advances.

    Args:
        repository: the image's own name for it.
        arrived: gets the number of bytes that came, negative if they have to come again.

    Raises:
        RegistryError: it broke off without advancing, or is not what its digest says.
    """
    what = f"blob {descriptor.digest} of {repository}"
    while not part.complete:
        before = part.size
        try:
            await _continue(connection, repository, descriptor, part, arrived)
        except RegistryError as error:
            if not error.temporary or part.size <= before:
                raise
            await asyncio.sleep(PAUSE)
    try:
        return await asyncio.to_thread(part.finish)
    except RegistryError as error:
        arrived(-descriptor.size)
        raise RegistryError(
            f"registry {connection.source.url}: {what} has {error.message}",
            "the registry or a proxy before it is broken: push the image again, or use another mirror",
        ) from error


async def _continue(
    connection: RegistryConnection,
    repository: str,
    descriptor: Descriptor,
    part: PartialBlob,
    arrived: Callable[[int], None],
) -> None:
    name, what = connection.source.repository(repository), f"blob {descriptor.digest} of {repository}"
    headers = {"Range": f"bytes={part.size}-"} if part.size else {}
    request = connection.request("GET", name, f"blobs/{descriptor.digest}", what=what, headers=headers)
    async with request as response:
        if part.size and not _continues(response, part.size):
            arrived(-part.size)
            await asyncio.to_thread(part.restart)
        async for chunk in response.content.iter_chunked(CHUNK):
            if part.size + len(chunk) > descriptor.size:
                arrived(-part.size)
                await asyncio.to_thread(part.restart)
                raise RegistryError(
                    f"registry {connection.source.url}: {what} is longer than its {descriptor.size} bytes",
                    "the registry or a proxy before it is broken: push the image again, or use another mirror",
                )
            await asyncio.to_thread(part.append, chunk)
            arrived(len(chunk))
    if not part.complete:
        raise RegistryError(
            f"registry {connection.source.url}: {what} ended after {part.size} of {descriptor.size} bytes",
            "the registry or a proxy before it is broken: push the image again, or use another mirror",
            temporary=True,
        )


def _continues(response: aiohttp.ClientResponse, offset: int) -> bool:
    """Whether the answer begins where we are; a server that knows no ranges begins from the start."""
    return response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
