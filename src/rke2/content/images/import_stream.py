"""An archive as the streams that containerd imports, checked while it passes.

The usual way is `by_image`: each image of an OCI layout becomes a small archive of its own, so that one image is
unpacked while the next one is read, and nothing waits for images it does not need. It takes a table of contents that
comes first, then image after image, each manifest first: the layout of this distribution's archives. Every other
archive goes through `whole`, in one piece. Either way containerd is given the names that pods look for (`image_names`).

A stream whose archive turns out to be bad is never ended, so containerd registers nothing of it. Digests are compared
here because containerd takes a blob of another content under the digest that it has, and registers the image.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from rke2.content.images.archives import (
    CHUNK,
    CORRUPT_REMEDY,
    SMALL,
    MemberError,
    check_platform,
    errors_named,
    member_name,
    open_archive,
    read_member,
    refuse_too_large,
    verified,
)
from rke2.content.images.names import image_name, named
from rke2.content.images.tables import OCI, SmallMembers, blob_path, entries, has_names, images_of

OnRead = Callable[[bytes], None]

LAYOUT_FILE = "oci-layout"
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
END = bytes(2 * tarfile.BLOCKSIZE)


class InterleavedError(Exception):
    """The archive does not hold image after image: it has to be imported in one piece."""


@dataclass(frozen=True)
class ImportPart:
    """What containerd imports at once.

    Attributes:
        references: the images in it.
        write: writes all but the end of the stream, checking it.
        end: writes the end; only then containerd registers the images.
    """

    references: tuple[str, ...]
    write: Callable[[IO[bytes]], None]
    end: Callable[[IO[bytes]], None]


def by_image(
    archive: Path, wanted: Collection[str], room: Path, on_read: OnRead | None = None
) -> Generator[ImportPart, None, None]:
    """The images `wanted`, one by one; each part must be written before the next one is asked for.

    Nothing is read beyond the last of them.

    Args:
        room: a directory on the file system that the images go to.
        on_read: given the decompressed bytes as they are read.

    Raises:
        ContentError: the archive is damaged or must not be used; it is named.
        InterleavedError: use `whole`.
    """
    with open_archive(archive, tee=on_read) as tar:
        walk = _Walk(tar, room)
        images = walk.table_of_contents()
        if not {*wanted} <= set().union(*map(_names, images)):
            raise InterleavedError  # docker's table of contents has names that this one lacks
        last = max((number for number, image in enumerate(images) if _names(image) & {*wanted}), default=-1)
        for image in images[: last + 1]:
            if _names(image) & {*wanted}:
                yield ImportPart(
                    tuple(sorted(_names(image))), partial(_copy_named, archive, walk, image), end
                )
            else:
                walk.copy(image, None)


def whole(
    archive: Path, references: Collection[str], room: Path, on_read: OnRead | None = None
) -> Generator[ImportPart, None, None]:
    """The archive in one piece; parameters and errors are those of `by_image`."""
    passing = _Whole(archive, room, on_read)
    yield ImportPart(tuple(sorted(references)), passing.write, passing.end)


def _copy_named(archive: Path, walk: _Walk, image: Image, sink: IO[bytes]) -> None:
    with errors_named(archive):
        walk.copy(image, sink)


Image = list[dict[str, Any]]
"""The descriptors of one manifest: it may have several names."""


def _names(image: Image) -> set[str]:
    return {image_name(descriptor) for descriptor in image} - {""}


class _Walk:
    """An archive on its way from image to image."""

    def __init__(self, tar: tarfile.TarFile, room: Path) -> None:
        self._tar = tar
        self._members = iter(tar)
        self._room = room
        self._seen: set[str] = set()

    def table_of_contents(self) -> list[Image]:
        for member in self._members:
            name = member_name(member)
            if name == OCI:
                return _grouped(json.loads(read_member(self._tar, member)))
            if name.startswith("blobs/") and member.isfile():
                break
        raise InterleavedError

    def copy(self, image: Image, sink: IO[bytes] | None) -> None:
        """Copy the blobs of `image` to `sink`; a layer that an earlier image brought is in containerd already."""
        manifest = blob_path(image[0])
        missing, config = {manifest} - self._seen, ""
        if sink:
            add_member(sink, LAYOUT_FILE, LAYOUT)
            add_member(sink, OCI, _index(image))
        while missing:
            member, name = self._next(missing)
            missing.remove(name)
            self._seen.add(name)
            if name not in (manifest, config):
                _copy(sink, self._tar, member)
                continue
            content = read_member(self._tar, member)
            document = json.loads(content)
            if name == manifest:
                config, blobs = _blobs(document)
                missing |= blobs - self._seen
            else:
                check_platform(document, image_name(image[0]) or "an image")
            if sink:
                add_member(sink, name, content)

    def _next(self, missing: Collection[str]) -> tuple[tarfile.TarInfo, str]:
        for member in self._members:
            name = member_name(member)
            if not member.isfile() or not name.startswith("blobs/"):
                continue
            if name not in missing:
                raise InterleavedError
            refuse_too_large(member, self._room)
            return member, name
        raise MemberError(f"it lacks {', '.join(sorted(missing))}", CORRUPT_REMEDY)


def _grouped(index: dict[str, Any]) -> list[Image]:
    groups: dict[str, Image] = {}
    for descriptor in index["manifests"]:
        groups.setdefault(str(descriptor["digest"]), []).append(descriptor)
    return list(groups.values())


def _blobs(manifest: Any) -> tuple[str, set[str]]:
    """Where the configuration of an image is, and all it is made of."""
    if not isinstance(manifest, dict) or "layers" not in manifest:
        raise InterleavedError  # a list of manifests for several platforms
    config = blob_path(manifest["config"])
    return config, {config, *map(blob_path, manifest["layers"])}


class _Whole:
    """An archive that is passed on member by member, its OCI table of contents last and with the names pods look for.

    Without an ``oci-layout`` containerd reads docker's table: an OCI table without names is left out with it.
    """

    def __init__(self, archive: Path, room: Path, on_read: OnRead | None) -> None:
        self._archive = archive
        self._room = room
        self._on_read = on_read
        self._small = SmallMembers()

    def write(self, sink: IO[bytes]) -> None:
        names = set()
        with open_archive(self._archive, tee=self._on_read) as tar:
            for member in tar:
                refuse_too_large(member, self._room)
                self._pass(tar, member, sink)
                names.add(member_name(member))
            for image in images_of(self._small.content):
                lacking = {image.config, *image.layers} - names
                if lacking:
                    raise MemberError(f"it lacks {', '.join(sorted(lacking))}", CORRUPT_REMEDY)
                name = next(iter(image.references), "an image")
                check_platform(json.loads(self._small.content.get(image.config, b"{}")), name)

    def _pass(self, tar: tarfile.TarFile, member: tarfile.TarInfo, sink: IO[bytes]) -> None:
        name = member_name(member)
        if not member.isfile():
            sink.write(member.tobuf(tarfile.PAX_FORMAT))
        elif member.size > SMALL:
            _copy(sink, tar, member)
        else:
            self._small.read(tar, member)
            if name not in (OCI, LAYOUT_FILE):
                add_member(sink, name, self._small.content[name])

    def end(self, sink: IO[bytes]) -> None:
        index = self._small.content.get(OCI, b"")
        if index and has_names(index):
            add_member(sink, LAYOUT_FILE, LAYOUT)
            add_member(sink, OCI, _index(entries(index)))
        end(sink)


def _index(image: Image) -> bytes:
    """A table of contents with those entries of `image` that have names, as pods look for them."""
    named_entries = [named(descriptor) for descriptor in image if image_name(descriptor)]
    return json.dumps({"schemaVersion": 2, "manifests": named_entries}).encode()


def _copy(sink: IO[bytes] | None, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    if sink:
        with verified(tar, member) as content:
            add_stream(sink, member_name(member), content, member.size)


def add_member(sink: IO[bytes], name: str, content: bytes) -> None:
    """Write a small member."""
    add_stream(sink, name, io.BytesIO(content), len(content))


def add_stream(sink: IO[bytes], name: str, content: IO[bytes], size: int) -> None:
    """Write a member of `size` bytes."""
    sink.write(_header(name, size))
    shutil.copyfileobj(content, sink, CHUNK)
    sink.write(bytes(-size % tarfile.BLOCKSIZE))


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.PAX_FORMAT)


def end(sink: IO[bytes]) -> None:
    """Write the end of a stream."""
    sink.write(END)
