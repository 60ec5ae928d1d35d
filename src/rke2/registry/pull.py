"""An image from the first source that has it: manifest, platform, blobs side by side, everything by its digest."""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rke2.errors import ContentError, RegistryError, first_error
from rke2.registry import blob, manifest
from rke2.registry.connection import RegistryConnection, limited, open_session
from rke2.registry.manifest import Descriptor, ImageManifest
from rke2.registry.meter import Meter
from rke2.registry.patience import PullPatience, Say, from_first
from rke2.registry.reference import DIGEST, ImageReference
from rke2.registry.source import Source

PARALLEL = 4
"""Blobs that are fetched at the same time."""


@dataclass(frozen=True)
class PulledImage:
    """An image on disk: the manifest of one platform and the files of what it names, all verified."""

    reference: ImageReference
    manifest: bytes
    config: Path
    layers: tuple[Path, ...]

    @property
    def digest(self) -> str:
        return manifest.digest_of(self.manifest)


async def pull(
    reference: ImageReference,
    sources: Sequence[Source],
    directory: Path,
    architecture: str,
    *,
    meter: Meter | None = None,
    say: Say = lambda reason: None,
    patience: PullPatience | None = None,
) -> PulledImage:
    """Fetch an image's blobs into `directory`, which keeps what arrived for the next attempt.

    Args:
        sources: asked in this order.
        architecture: as in image indexes (``amd64``).
        meter: follows the bytes.
        say: gets reasons of delays.

    Raises:
        RegistryError: no source gives it.
        ContentError: the disk is full.
    """
    patience, meter = patience or PullPatience(), meter or Meter()
    async with open_session() as session:
        connections = [RegistryConnection(session, source) for source in sources]
        content = await _resolve(connections, reference, architecture, patience, say)
        document = manifest.parse(content, str(reference))
        assert isinstance(document, ImageManifest)
        fetch = _Fetch(connections, reference, directory, patience, meter, say)
        try:
            files = await fetch.all({each.digest: each for each in (document.config, *document.layers)})
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _no_space(reference, directory) from error
            raise ContentError(f"cannot write {reference} to {directory}: {error.strerror}") from error
    layers = tuple(files[layer.digest] for layer in document.layers)
    return PulledImage(reference, content, files[document.config.digest], layers)


def _no_space(reference: ImageReference, directory: Path, needed: int = 0) -> ContentError:
    size = f": {needed / 1e6:.0f} MB have to be fetched" if needed else ""
    return ContentError(f"no space left in {directory} to pull {reference}{size}", "free space there")


async def _resolve(
    connections: Sequence[RegistryConnection],
    reference: ImageReference,
    architecture: str,
    patience: PullPatience,
    say: Say,
) -> bytes:
    """The manifest for the platform."""

    async def ask(connection: RegistryConnection) -> bytes:
        content = await get_manifest(connection, reference, reference.target)
        document = manifest.parse(content, f"registry {connection.source.url}: {reference}")
        if isinstance(document, ImageManifest):
            return content
        chosen = manifest.choose(document, architecture, str(reference))
        content = await get_manifest(connection, reference, chosen.digest)
        if not isinstance(manifest.parse(content, str(reference)), ImageManifest):
            raise RegistryError(f"{reference}: an index inside an index is not supported")
        return content

    return await from_first(connections, ask, patience, say)


async def get_manifest(connection: RegistryConnection, reference: ImageReference, target: str) -> bytes:
    """A manifest or index by tag or digest, checked against the digest asked for or the one the registry names."""
    name = connection.source.repository(reference.repository)
    accept = {"Accept": ", ".join(manifest.MANIFEST_TYPES)}
    async with connection.request(
        "GET", name, f"manifests/{target}", what=str(reference), headers=accept
    ) as response:
        content = await limited(response, manifest.LARGEST)
        named = response.headers.get("Docker-Content-Digest", "")
    expected = target if DIGEST.fullmatch(target) else named
    if DIGEST.fullmatch(expected) and manifest.digest_of(content, expected.partition(":")[0]) != expected:
        raise RegistryError(
            f"registry {connection.source.url}: the manifest of {reference} has another content than the digest says",
            "the registry or a proxy before it is broken: push the image again, or use another mirror",
        )
    return content


@dataclass(frozen=True)
class _Fetch:
    """The blobs of one image."""

    connections: Sequence[RegistryConnection]
    reference: ImageReference
    directory: Path
    patience: PullPatience
    meter: Meter
    say: Say

    async def all(self, blobs: dict[str, Descriptor]) -> dict[str, Path]:
        """Fetch them side by side; the first that fails ends the others."""
        total = sum(each.size for each in blobs.values())
        self.directory.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self.directory).free < total - _size_of(self.directory):
            raise _no_space(self.reference, self.directory, total)
        self.meter.expect(total)
        slots = asyncio.Semaphore(PARALLEL)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {digest: group.create_task(self._one(each, slots)) for digest, each in blobs.items()}
        except ExceptionGroup as failures:
            raise first_error(failures) from None
        return {digest: task.result() for digest, task in tasks.items()}

    async def _one(self, descriptor: Descriptor, slots: asyncio.Semaphore) -> Path:
        async with slots:
            part = await asyncio.to_thread(blob.PartialBlob, self.directory, descriptor)
            self.meter.add(part.size)
            try:
                return await from_first(
                    self.connections,
                    lambda connection: blob.fetch(
                        connection, self.reference.repository, descriptor, part, self.meter.add
                    ),
                    self.patience,
                    self.say,
                )
            finally:
                part.close()


def _size_of(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())
