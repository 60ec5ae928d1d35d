"""The images of an airgap archive into a registry, read once from the archive's beginning to its end."""

from __future__ import annotations

import asyncio
import json
import tarfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rke2.content.images.archives import CHUNK, open_archive, read_member
from rke2.content.images.names import image_name
from rke2.content.images.tables import blob_path
from rke2.errors import ContentError
from rke2.registry.connection import RegistryConnection, open_session
from rke2.registry.push import ACTIONS, Pusher
from rke2.registry.reference import ImageReference
from rke2.registry.source import Source


@dataclass(frozen=True)
class _Contents:
    """What the tables at the head of an archive say.

    Args:
        images: reference -> the member with its manifest.
        owners: member -> the repositories that need it.
    """

    images: dict[ImageReference, str]
    owners: dict[str, list[str]]


async def push_archive(
    archive: Path, source: Source, say: Callable[[str], None] = lambda text: None
) -> tuple[ImageReference, ...]:
    """Write every image of an archive to a registry, under its own name there; returns their references.

    Raises:
        ContentError: the archive is damaged, or does not begin with the tables of both layouts, docker's and OCI's.
        RegistryError: the registry does not take it.
    """
    async with open_session() as session:
        pusher = Pusher(RegistryConnection(session, source, ACTIONS))
        with open_archive(archive) as tar:
            contents, manifests = await asyncio.to_thread(_head, archive, tar), {}
            while (member := await asyncio.to_thread(tar.next)) is not None:
                if member.name in contents.images.values():
                    manifests[member.name] = await asyncio.to_thread(read_member, tar, member)
                elif owners := contents.owners.get(member.name):
                    await _push_blob(pusher, tar, member, owners)
        for reference, member_name in contents.images.items():
            content = manifests[member_name]
            await pusher.manifest(reference.repository, reference.tag, content)
            say(str(reference))
    return tuple(contents.images)


def _head(archive: Path, tar: tarfile.TarFile) -> _Contents:
    tables: dict[str, Any] = {}
    while len(tables) < 2 and (member := tar.next()) is not None:
        if member.name in ("manifest.json", "index.json"):
            tables[member.name] = json.loads(read_member(tar, member))
    if len(tables) < 2:
        raise ContentError(
            f"image archive {archive} cannot be pushed: it does not begin with manifest.json and index.json",
            "use an archive that `make content` built",
        )
    images = {
        ImageReference.parse(image_name(entry)): blob_path(entry)
        for entry in tables["index.json"]["manifests"]
    }
    owners: dict[str, list[str]] = {}
    for image in tables["manifest.json"]:
        repositories = {ImageReference.parse(name).repository for name in image["RepoTags"]}
        for blob in (image["Config"], *image["Layers"]):
            owners.setdefault(blob, []).extend(repositories)
    return _Contents(images, {blob: sorted(set(names)) for blob, names in owners.items()})


async def _push_blob(
    pusher: Pusher, tar: tarfile.TarFile, member: tarfile.TarInfo, owners: list[str]
) -> None:
    """Write a blob to the first repository that needs it, and have the others take it from there."""
    digest = f"sha256:{member.name.rpartition('/')[2]}"
    source = tar.extractfile(member)
    assert source is not None, "a blob is a file"
    first, *others = owners
    if not await pusher.has(first, digest):
        await pusher.blob(first, digest, member.size, _chunks(source))
    for repository in others:
        await pusher.mount(repository, digest, first)


async def _chunks(source: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(source.read, CHUNK):
        yield chunk
