"""One archive into containerd, image after image where its layout allows it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Generator
from pathlib import Path

from rke2.content.images import import_stream
from rke2.content.images.archives import CORRUPT_REMEDY
from rke2.content.images.import_stream import ImportPart, InterleavedError, OnRead
from rke2.content.images.store import ImageStore, Import
from rke2.errors import ContentError, first_error

_UNLIKE = "list its names with `ctr -n k8s.io images ls`, and save it by the names that pods use"

Imported = Callable[[tuple[str, ...]], Awaitable[None]]


async def import_archive(
    store: ImageStore,
    archive: Path,
    references: Collection[str],
    imported: Imported,
    *,
    room: Path,
    on_read: OnRead | None = None,
) -> None:
    """Import images of `archive`.

    Args:
        references: those that are wanted; others may come with them.
        imported: told the references of each image when it is in containerd.
        room: a directory on the file system of containerd's data.
        on_read: given the decompressed bytes of the archive as they are read, in a thread.

    Raises:
        ContentError: the archive cannot be used, or containerd refuses it. It is named. Images that `imported` was
            not told of are not registered.
    """
    try:
        try:
            await _import_parts(store, import_stream.by_image(archive, references, room, on_read), imported)
        except InterleavedError:
            await _import_parts(store, import_stream.whole(archive, references, room, on_read), imported)
    except ContentError as error:
        if str(archive) in error.message:
            raise
        raise ContentError(
            f"image archive {archive} was not imported: {error.message}", error.remedy or CORRUPT_REMEDY
        ) from error


def lacking(archive: Path, references: Collection[str], held: Collection[str]) -> ContentError | None:
    """What is to be said if containerd does not hold all that it was given.

    Args:
        references: what was imported of `archive`.
        held: what containerd holds now.
    """
    if not (missing := sorted({*references} - {*held})):
        return None
    return ContentError(
        f"image archive {archive}: containerd took it, but holds no complete {', '.join(missing)}", _UNLIKE
    )


async def _import_parts(
    store: ImageStore, parts: Generator[ImportPart, None, None], imported: Imported
) -> None:
    """Import part after part. While one is unpacked, the next one is read already; its stream is ended after that,
    because it may lack layers that the earlier one brings.
    """
    try:
        async with asyncio.TaskGroup() as unpacking:
            await _feed(store, parts, imported, unpacking)
    except BaseExceptionGroup as group:
        raise first_error(group) from None
    finally:
        with contextlib.suppress(ValueError):  # cancelled while a thread is in it
            parts.close()


async def _feed(
    store: ImageStore,
    parts: Generator[ImportPart, None, None],
    imported: Imported,
    unpacking: asyncio.TaskGroup,
) -> None:
    before: asyncio.Task[None] | None = None
    while (part := await asyncio.to_thread(next, parts, None)) is not None:
        current = await store.begin_import()
        try:
            await current.write(part.write)
            if before:
                await asyncio.wait([before])  # if it failed, the group ends this, too
        except BaseException:
            await current.abandon()
            raise
        before = unpacking.create_task(_unpack(store, current, part, imported))


async def _unpack(store: ImageStore, importing: Import, part: ImportPart, imported: Imported) -> None:
    try:
        await importing.write(part.end)
        await importing.finish()
    except ContentError:
        await store.remove(part.references)  # containerd registers an image before it unpacks it
        raise
    finally:
        await importing.abandon()
    await imported(part.references)
