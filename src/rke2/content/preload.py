"""Images from ``<dd>/agent/images`` into containerd, those the control plane waits for first.

An archive is read only when it has to be: its size and modification time are those of the last import *and*
containerd still holds each of its images with the digest it had then means that nothing is read at all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from rke2.content.archives import CORRUPT_REMEDY, list_images, normalize
from rke2.content.image_store import ImageStore
from rke2.content.runtime_image import archives_in
from rke2.content.subset import write_subset
from rke2.errors import ContentError
from rke2.host.files import write_atomic

log = logging.getLogger(__name__)

CACHE_FILE = ".cache.json"


class CachedArchive(msgspec.Struct, frozen=True):
    """What an archive file was, and what containerd held, when it was last imported."""

    size: int
    mtime_ns: int
    images: dict[str, str]


class Preload:
    """Imports the archives of one directory.

    Args:
        store: containerd's image store.
        directory: where the archives are.
        skip: references that need no import (the runtime image: its content is unpacked already).
        extra_registries: registry prefixes each image is also tagged with (``airgap-extra-registry`` and
            ``system-default-registry``).
        urgent: references that somebody waits for: they are taken out of a large archive before it is imported.
    """

    def __init__(
        self,
        store: ImageStore,
        directory: Path,
        skip: Iterable[str] = (),
        extra_registries: Sequence[str] = (),
        urgent: Iterable[str] = (),
    ) -> None:
        self._store = store
        self._directory = directory
        self._skip = frozenset(map(normalize, skip))
        self._extra_registries = extra_registries
        self._urgent = frozenset(map(normalize, urgent))
        self._planned = asyncio.Event()
        self._pending: dict[str, asyncio.Event] = {}
        self._failed: list[ContentError] = []

    def pending(self, reference: str) -> bool:
        """Whether `available` would wait for `reference` now."""
        event = self._pending.get(normalize(reference))
        return not self._planned.is_set() or (event is not None and not event.is_set())

    def provides(self, reference: str) -> bool:
        """Whether an archive that is imported in this start holds `reference`."""
        return normalize(reference) in self._pending

    async def available(self, reference: str) -> None:
        """Wait until `reference` is imported, or until it is known that no archive holds it.

        The kubelet backs off for ten seconds from an image that is not there yet, so a pod is better not
        shown to it before this returns.

        Raises:
            ContentError: containerd does not have it, and an archive could not be imported.
        """
        await self._planned.wait()
        if event := self._pending.get(normalize(reference)):
            await event.wait()
        if self._failed and normalize(reference) not in await self._store.digests():
            first = self._failed[0]
            raise ContentError(f"image {reference} is missing: {first.message}", first.remedy)

    async def finished(self) -> None:
        """Wait until every archive is imported, or reported as one that cannot be."""
        await self._planned.wait()
        for event in self._pending.values():
            await event.wait()

    async def run(self) -> None:
        """Import what changed. An archive that cannot be imported is reported; the others go on."""
        try:
            todo = await self._plan()
        finally:
            self._planned.set()
        try:
            for archive, references in todo.items():
                await self._import(archive, references)
        finally:
            self._release(self._pending)

    async def _plan(self) -> dict[Path, tuple[str, ...]]:
        held, cache = await self._store.digests(), self._read_cache()
        todo = {}
        for archive in archives_in(self._directory):
            if _unchanged(archive, cache.get(archive.name), held):
                log.debug("image archive %s: nothing to import", archive)
                continue
            try:
                references = await asyncio.to_thread(_references, archive)
            except ContentError as error:
                self._report(error)
                continue
            if not set(references) <= self._skip:
                todo[archive] = references
                self._pending.update((reference, asyncio.Event()) for reference in references)
        return dict(sorted(todo.items(), key=lambda item: ("core" not in item[0].name, item[0].name)))

    async def _import(self, archive: Path, references: tuple[str, ...]) -> None:
        log.info("importing %s", archive)
        before = archive.stat()
        if self._urgent & {*references} and not {*references} <= self._urgent:
            await self._import_urgent(archive, self._urgent & {*references})
        try:
            await self._store.import_archive(archive)
            for registry in self._extra_registries:
                for reference in references:
                    await self._store.tag(reference, f"{registry}/{reference.partition('/')[2]}")
        except ContentError as error:
            self._report(
                ContentError(f"image archive {archive} was not imported: {error.message}", CORRUPT_REMEDY)
            )
            return
        finally:
            self._release(references)
        held = await self._store.digests()
        images = {reference: held[reference] for reference in references if reference in held}
        self._write_cache(archive.name, CachedArchive(before.st_size, before.st_mtime_ns, images))

    async def _import_urgent(self, archive: Path, references: frozenset[str]) -> None:
        try:
            await self._store.import_stream(lambda sink: write_subset(archive, references, sink))
        except ContentError as error:
            log.debug("%s: its images come with the whole archive: %s", archive, error)
        else:
            log.info("imported %s", ", ".join(sorted(references)))
            self._release(references)

    def _report(self, error: ContentError) -> None:
        log.error("%s", error)
        self._failed.append(error)

    def _release(self, references: Iterable[str]) -> None:
        for reference in references:
            if event := self._pending.get(reference):
                event.set()

    def _read_cache(self) -> dict[str, CachedArchive]:
        try:
            return msgspec.json.decode(
                (self._directory / CACHE_FILE).read_bytes(), type=dict[str, CachedArchive]
            )
        except (OSError, msgspec.DecodeError, msgspec.ValidationError):
            return {}

    def _write_cache(self, name: str, entry: CachedArchive) -> None:
        cache = {**self._read_cache(), name: entry}
        present = {path.name for path in archives_in(self._directory)}
        kept = {name: entry for name, entry in cache.items() if name in present}
        write_atomic(self._directory / CACHE_FILE, msgspec.json.encode(kept), 0o644)


def _references(archive: Path) -> tuple[str, ...]:
    return tuple(reference for image in list_images(archive) for reference in image.references)


def _unchanged(archive: Path, cached: CachedArchive | None, held: dict[str, str]) -> bool:
    if cached is None:
        return False
    stat = archive.stat()
    return (stat.st_size, stat.st_mtime_ns) == (cached.size, cached.mtime_ns) and all(
        held.get(reference) == digest for reference, digest in cached.images.items()
    )
