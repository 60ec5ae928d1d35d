"""Images from ``<dd>/agent/images`` into containerd, at the start and whenever files are added.

What is needed is decided by digests: those of the archive, and those of the images that containerd holds with all of
their content. The digests of an archive are remembered under what the file was then (`archive_cache`), so that an
archive that did not change is not even opened. A cache that is wrong costs a look into the archive, never an image.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from rke2.content.images.archive_cache import ArchiveCache, CachedArchive, FileIdentity
from rke2.content.images.archives import CORRUPT_REMEDY
from rke2.content.images.importing import import_archive, lacking
from rke2.content.images.names import normalize
from rke2.content.images.store import ImageStore
from rke2.content.images.tables import list_images, nameless
from rke2.content.runtime.image import archives_in
from rke2.errors import ContentError, HostError, RKE2Error
from rke2.host.files import ensure_dir
from rke2.host.inotify import DirectoryWatch
from rke2.host.memory import give_back

log = logging.getLogger(__name__)

SETTLE_SECONDS = 2.0
"""How long the directory must have been still before what was added at run time is looked at."""

Pull = Callable[[str], Awaitable[None]]
Importing = Callable[[str], AbstractContextManager[object]]


class Preload:
    """Imports the archives of one directory, and pulls what its lists name.

    Args:
        store: containerd's image store.
        directory: where the archives are.
        skip: references that need no import (the runtime image: its content is unpacked already).
        extra_registries: registry prefixes each image is also tagged with (``airgap-extra-registry`` and
            ``system-default-registry``).
        room: a directory on the file system of containerd's data; `directory` if None.
        pull: has an image pulled that a list (``*.txt``) names and containerd does not hold.
        importing: entered with an archive's name, left when its import has ended.
    """

    def __init__(
        self,
        store: ImageStore,
        directory: Path,
        skip: Iterable[str] = (),
        extra_registries: Sequence[str] = (),
        *,
        room: Path | None = None,
        pull: Pull | None = None,
        importing: Importing = nullcontext,
    ) -> None:
        self._store = store
        self._directory = directory
        self._cache = ArchiveCache(directory)
        self._skip = frozenset(map(normalize, skip))
        self._extra_registries = extra_registries
        self._room = room or directory
        self._pull, self._importing = pull, importing
        self._planned = asyncio.Event()
        self._pending: dict[str, asyncio.Event] = {}
        self._failed: dict[Path, tuple[FileIdentity, ContentError]] = {}
        self._told: dict[Path, FileIdentity] = {}
        self._lists: dict[Path, FileIdentity] = {}

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
            _, first = next(iter(self._failed.values()))
            raise ContentError(f"image {reference} is missing: {first.message}", first.remedy)

    async def finished(self) -> None:
        """Wait until every archive is imported, or reported as one that cannot be."""
        await self._planned.wait()
        for event in self._pending.values():
            await event.wait()

    async def run(self) -> None:
        """Import what containerd lacks. An archive that cannot be imported is reported; the others go on."""
        try:
            todo = await self._plan()
        finally:
            self._planned.set()
        try:
            for archive, references in todo.items():
                with self._importing(archive.name):
                    await self._import(archive, references)
        finally:
            self._release(self._pending)
        if todo:
            give_back()

    async def watch(self) -> None:
        """Until cancelled: import archives, and pull the images of lists, that are put into the directory.

        Lists that were there before are looked at first.
        """
        try:
            ensure_dir(self._directory)
            with DirectoryWatch() as watch:
                watch.watch([self._directory])
                while True:
                    await self._settled()
                    await self._round()
                    await watch.changed()
        except (OSError, HostError) as error:
            log.warning("files added to %s are imported at the next start only: %s", self._directory, error)

    async def _round(self) -> None:
        try:
            await self.run()
            await self._pull_lists()
        except (OSError, RKE2Error) as error:
            log.error("%s: %s", self._directory, error)

    async def _settled(self) -> None:
        """Wait until no file changes any more: what is being copied would be taken for a truncated archive."""
        before = None
        while before != (now := _state_of(self._directory)):
            before = now
            await asyncio.sleep(SETTLE_SECONDS)

    # --- archives ------------------------------------------------------------------------------------
    async def _plan(self) -> dict[Path, frozenset[str]]:
        """The archives to import, and what of each."""
        held = await self._store.digests()
        cache = self._cache.read(held)
        archives = sorted(archives_in(self._directory), key=lambda path: ("core" not in path.name, path.name))
        found = {archive: await self._images_of(archive, cache.get(archive.name)) for archive in archives}
        readable = {archive: images for archive, images in found.items() if images is not None}
        holder = {reference: archive for archive, images in readable.items() for reference in images}
        todo = {}
        for archive, images in readable.items():
            mine = {reference: digest for reference, digest in images.items() if holder[reference] is archive}
            if missing := self._missing(mine, held):
                todo[archive] = missing
                self._pending.update((reference, asyncio.Event()) for reference in missing)
            else:
                log.debug("image archive %s: nothing to import", archive)
                self._cache.remember(archive, images)
        return todo

    async def _images_of(self, archive: Path, cached: CachedArchive | None) -> dict[str, str] | None:
        """The images of `archive`, from the cache if the file is still the one it was; None if it is no good."""
        try:
            identity = FileIdentity.of(archive)
            if cached and cached.identity == identity:
                return cached.images
            if archive in self._failed and self._failed[archive][0] == identity:
                return None
            self._failed.pop(archive, None)
            images = await asyncio.to_thread(list_images, archive)
            self._tell_nameless(archive, identity, nameless(images))
            return {reference: image.digest for image in images for reference in image.references}
        except FileNotFoundError:  # taken away meanwhile
            return None
        except ContentError as error:
            self._report(archive, identity, error)
            return None
        except Exception as error:  # no file that somebody put there may keep a node from starting
            log.debug("image archive %s", archive, exc_info=True)
            self._report(archive, identity, _unusable(archive, error))
            return None

    def _tell_nameless(self, archive: Path, identity: FileIdentity, lines: Sequence[str]) -> None:
        if lines and self._told.get(archive) != identity:
            self._told[archive] = identity
            log.warning("image archive %s: %s: no pod finds it", archive, ", ".join(lines))

    def _missing(self, images: Mapping[str, str], held: Mapping[str, str]) -> frozenset[str]:
        """Those of `images` that containerd does not hold under all of their names."""
        return frozenset(
            reference
            for reference, digest in images.items()
            if reference not in self._skip
            and (not digest or any(held.get(name) != digest for name in (reference, *self._tags(reference))))
        )

    def _tags(self, reference: str) -> list[str]:
        name = reference.partition("/")[2]
        return [normalize(f"{registry.rstrip('/')}/{name}") for registry in self._extra_registries]

    async def _import(self, archive: Path, references: frozenset[str]) -> None:
        log.info("importing %s", archive)
        identity = FileIdentity.of(archive)
        try:
            await import_archive(self._store, archive, references, self._imported, room=self._room)
        except ContentError as error:
            self._report(archive, identity, error)
            return
        except Exception as error:  # as in `_images_of`
            log.debug("image archive %s", archive, exc_info=True)
            self._report(archive, identity, _unusable(archive, error))
            return
        finally:
            self._release(references)
        held = await self._store.digests()
        log.info("imported %s: %s", archive, ", ".join(sorted(references & held.keys())) or "nothing")
        if untrue := lacking(archive, references, held):
            self._report(archive, identity, untrue)
            return
        images = await self._images_of(archive, None) or {}
        self._cache.remember(
            archive, {reference: held.get(reference, digest) for reference, digest in images.items()}
        )

    async def _imported(self, references: tuple[str, ...]) -> None:
        for reference in references if self._extra_registries else ():
            await self._store.tag(reference, self._tags(reference))
        self._release(references)

    def _report(self, archive: Path, identity: FileIdentity, error: ContentError) -> None:
        log.error("%s", error)
        self._failed[archive] = (identity, error)

    def _release(self, references: Iterable[str]) -> None:
        for reference in references:
            if event := self._pending.get(reference):
                event.set()

    # --- lists ---------------------------------------------------------------------------------------
    async def _pull_lists(self) -> None:
        """Pull what new or changed lists name and containerd lacks; all of it gets pinned."""
        for path in sorted(self._directory.glob("*.txt")):
            identity = FileIdentity.of(path)
            if self._lists.get(path) != identity:
                self._lists[path] = identity
                await self._pull_list(path)

    async def _pull_list(self, path: Path) -> None:
        for reference in listed(path.read_text()):
            try:
                if normalize(reference) in self._skip:
                    continue
                if normalize(reference) not in await self._store.digests():
                    if self._pull is None:
                        raise ContentError("there is nothing to pull it with")
                    log.info("pulling %s, which %s names", reference, path)
                    await self._pull(reference)
                await self._store.pin(normalize(reference))
            except RKE2Error as error:
                log.error("image %s of %s was not pulled: %s", reference, path, error)


def _unusable(archive: Path, error: Exception) -> ContentError:
    return ContentError(f"image archive {archive} was not imported: {error!r}", CORRUPT_REMEDY)


def listed(text: str) -> list[str]:
    """The references in a list of images: one a line, empty lines and ``#`` comments left out."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return list(dict.fromkeys(line for line in lines if line))


def _state_of(directory: Path) -> dict[str, tuple[int, int]]:
    found = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False) and not entry.name.startswith("."):
                stat = entry.stat(follow_symlinks=False)
                found[entry.name] = (stat.st_size, stat.st_mtime_ns)
    return found
