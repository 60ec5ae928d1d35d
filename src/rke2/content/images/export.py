"""Some images of several archives as one OCI archive.

Its table of contents comes first, then image after image, so that `import_stream` takes it image by image.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rke2.content.images import import_stream
from rke2.content.images.archives import CORRUPT_REMEDY, MemberError, member_name, open_archive, verified
from rke2.content.images.names import image_name
from rke2.content.images.tables import SmallMembers, blob_path
from rke2.errors import ContentError

_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst")


def write_archive(sources: Sequence[Path], references: Collection[str], sink: IO[bytes]) -> tuple[str, ...]:
    """Write the images `references` (all, if empty) of the archives `sources` to `sink`.

    Each source is read twice: for its table of contents and manifests, then for the content.

    Returns:
        What was written.

    Raises:
        ContentError: an image is in none of them, or an archive is damaged or has only docker's table of contents.
    """
    chosen: dict[str, _Chosen] = {}
    for source in sources:
        for image in _images(source):
            if image.name in references or not references:
                chosen.setdefault(image.name, image)
    if missing := {*references} - {*chosen}:
        raise ContentError(
            f"no archive has {', '.join(sorted(missing))}", f"looked into {', '.join(map(str, sources))}"
        )
    index = {"schemaVersion": 2, "manifests": [image.descriptor for image in chosen.values()]}
    import_stream.add_member(sink, "oci-layout", import_stream.LAYOUT)
    import_stream.add_member(sink, "index.json", json.dumps(index).encode())
    written: set[str] = set()
    for source in sources:
        blobs = {
            blob for image in chosen.values() if image.source == source for blob in image.blobs
        } - written
        _copy(source, blobs, sink)
        written |= blobs
    import_stream.end(sink)
    return tuple(chosen)


@dataclass(frozen=True)
class _Chosen:
    name: str
    source: Path
    descriptor: dict[str, Any]
    blobs: frozenset[str]


def _images(source: Path) -> Iterator[_Chosen]:
    small = SmallMembers()
    with open_archive(source) as tar:
        for member in tar:
            small.read(tar, member)
        if "index.json" not in small.content:
            raise MemberError(
                "it has only docker's table of contents", "import it, and export its images from containerd"
            )
        for descriptor in json.loads(small.content["index.json"])["manifests"]:
            if name := image_name(descriptor):
                yield _Chosen(name, source, descriptor, frozenset(_reachable(descriptor, small.content)))


def _reachable(descriptor: dict[str, Any], small: dict[str, bytes]) -> Iterator[str]:
    """The blobs that a descriptor leads to and that the archive may hold."""
    name = blob_path(descriptor)
    yield name
    document = json.loads(small[name]) if name in small else {}
    if isinstance(document, dict) and "layers" in document:
        yield from map(blob_path, (document["config"], *document["layers"]))
    elif isinstance(document, dict):
        for other in document.get("manifests", ()):
            if blob_path(other) in small:
                yield from _reachable(other, small)


def _copy(source: Path, blobs: Collection[str], sink: IO[bytes]) -> None:
    missing = {*blobs}
    with open_archive(source) as tar:
        for member in tar if missing else ():
            if member_name(member) in missing:
                with verified(tar, member) as stream:
                    import_stream.add_stream(sink, member_name(member), stream, member.size)
                missing.discard(member_name(member))
        if missing:
            raise MemberError(f"it lacks {', '.join(sorted(missing))}", CORRUPT_REMEDY)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A new file, compressed as its name says; there only if the block ends well.

    Raises:
        ContentError: another ending.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file, _compressed(path.name, file) as sink:
            yield sink
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _compressed(name: str, file: IO[bytes]) -> Iterator[IO[bytes]]:
    if name.endswith((".tar.zst", ".tzst")):
        import zstandard

        with zstandard.ZstdCompressor(threads=-1, write_checksum=True).stream_writer(
            file, closefd=False
        ) as out:
            yield out
    elif name.endswith((".tar.gz", ".tgz")):
        import gzip

        with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as zipped:
            yield zipped  # type: ignore[misc]
    elif name.endswith(".tar"):
        yield file
    else:
        raise ContentError(
            f"{name} is no name for an archive", f"choose one that ends in {', '.join(_ENDINGS)}"
        )
