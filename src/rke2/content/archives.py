"""Image archives as `docker save`, OCI tools and RKE2's airgap files make them.

Read as streams: an archive is never unpacked to look into it. Both tables of contents are understood,
``manifest.json`` (docker) and ``index.json`` (OCI image layout).
"""

from __future__ import annotations

import bz2
import errno
import gzip
import hashlib
import json
import lzma
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from rke2.errors import ContentError

CHUNK = 1 << 20
SUFFIXES = {
    ".tar": "none",
    ".tar.gz": "gzip",
    ".tgz": "gzip",
    ".tar.zst": "zstd",
    ".tzst": "zstd",
    ".tar.lz4": "lz4",
    ".tar.bz2": "bzip2",
    ".tbz": "bzip2",
}
"""File name endings of archives and their compression (the reference's list)."""

_SMALL = 4 << 20
"""JSON blobs are below this size; larger members are layers."""


CORRUPT_REMEDY = "copy it again and compare its checksum with sha256sum-*.txt"


@dataclass(frozen=True)
class ArchivedImage:
    """One image of an archive: its names and the archive members it is made of."""

    references: tuple[str, ...]
    config: str
    layers: tuple[str, ...]


def is_archive(path: Path) -> bool:
    """Whether the file name is that of an image archive."""
    return path.is_file() and _compression(path) is not None


def normalize(reference: str) -> str:
    """The full form containerd stores: ``a:1`` → ``docker.io/library/a:1``; ``index.docker.io`` is ``docker.io``."""
    host, slash, rest = reference.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, rest = "docker.io", reference
    if host in ("index.docker.io", "registry-1.docker.io"):
        host = "docker.io"
    if host == "docker.io" and "/" not in rest:
        rest = f"library/{rest}"
    return f"{host}/{rest}"


@contextmanager
def open_archive(path: Path) -> Iterator[tarfile.TarFile]:
    """The archive as a tar stream; members must be read in order.

    Raises:
        ContentError: it is truncated or corrupt, or its compression is unknown.
    """
    try:
        with (
            path.open("rb") as raw,
            tarfile.open(fileobj=_decompress(path, raw), mode="r|", bufsize=CHUNK) as tar,
        ):
            yield tar
    except _corruption_errors() as error:
        raise ContentError(
            f"image archive {path} is truncated or corrupt: {error or type(error).__name__}",
            CORRUPT_REMEDY,
        ) from error


def list_images(path: Path) -> list[ArchivedImage]:
    """The images in the archive. Stops reading at the table of contents if that comes first.

    Raises:
        ContentError: the archive is unreadable or holds no images.
    """
    small: dict[str, bytes] = {}
    with open_archive(path) as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if member.isfile() and member.size < _SMALL:
                small[name] = read_member(tar, member)
                if name == "manifest.json":
                    return _docker_images(path, small[name])
    if "index.json" in small:
        return _oci_images(path, small)
    raise ContentError(
        f"{path} is not an image archive: it has neither manifest.json nor index.json",
        "put only image archives and image lists into this directory",
    )


def read_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """The content of a small member, checked against the digest in its name if it has one."""
    with verified(tar, member) as stream:
        return stream.read()


@contextmanager
def verified(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[IO[bytes]]:
    """The member's content; what the block leaves unread is read, so that the digest is always checked.

    Raises:
        ContentError: the content of a ``blobs/sha256/…`` member does not have that digest.
    """
    source = tar.extractfile(member)
    if source is None:
        raise ContentError(f"image archive member {member.name} is not a file")
    stream = _HashingReader(source)
    yield cast(IO[bytes], stream)
    while stream.read(CHUNK):
        pass
    algorithm, _, expected = member.name.removeprefix("./").removeprefix("blobs/").partition("/")
    if algorithm == "sha256" and stream.sha256.hexdigest() != expected:
        raise ContentError(
            f"image archive member {member.name} has another content than its digest says",
            "the archive is damaged; copy it again",
        )


def decompress_layer(stream: IO[bytes]) -> IO[bytes]:
    """The layer's tar stream, whatever its compression (told by its first bytes)."""
    peekable = _Peekable(stream)
    magic = peekable.peek(4)
    if magic.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=cast(BinaryIO, peekable)))
    if magic == b"\x28\xb5\x2f\xfd":
        import zstandard

        return cast(IO[bytes], zstandard.ZstdDecompressor().stream_reader(cast(BinaryIO, peekable)))
    return cast(IO[bytes], peekable)


class _HashingReader:
    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self.sha256.update(data)
        return data


class _Peekable:
    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._head = b""

    def peek(self, size: int) -> bytes:
        self._head += self._source.read(size - len(self._head))
        return self._head

    def read(self, size: int = -1) -> bytes:
        if not self._head:
            return self._source.read(size)
        head, self._head = self._head, b""
        if size < 0:
            return head + self._source.read()
        self._head = head[size:]
        return head[:size]


def _compression(path: Path) -> str | None:
    return next((kind for suffix, kind in SUFFIXES.items() if path.name.endswith(suffix)), None)


def _decompress(path: Path, raw: BinaryIO) -> IO[bytes]:
    kind = _compression(path)
    if kind == "gzip":
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if kind == "bzip2":
        return cast(IO[bytes], bz2.BZ2File(raw))
    if kind == "zstd":
        import zstandard

        return cast(IO[bytes], zstandard.ZstdDecompressor().stream_reader(raw, read_size=CHUNK))
    if kind == "lz4":
        import lz4.frame

        return cast(IO[bytes], lz4.frame.LZ4FrameFile(raw))
    if kind == "none":
        return raw
    raise ContentError(f"{path} is not an image archive", f"supported endings: {', '.join(SUFFIXES)}")


def _corruption_errors() -> tuple[type[BaseException], ...]:
    import zstandard

    return (
        tarfile.TarError,
        EOFError,
        gzip.BadGzipFile,
        lzma.LZMAError,
        zstandard.ZstdError,
        RuntimeError,  # lz4.frame
        json.JSONDecodeError,
    )


def _docker_images(path: Path, manifest: bytes) -> list[ArchivedImage]:
    images = [
        ArchivedImage(
            tuple(map(normalize, entry.get("RepoTags") or ())), entry["Config"], tuple(entry["Layers"])
        )
        for entry in json.loads(manifest)
    ]
    if not images:
        raise ContentError(f"image archive {path} holds no images")
    return images


def _oci_images(path: Path, small: dict[str, bytes]) -> list[ArchivedImage]:
    images = []
    for descriptor in json.loads(small["index.json"])["manifests"]:
        manifest: dict[str, Any] = json.loads(small[blob_path(descriptor)])
        if "layers" not in manifest:
            continue  # a nested index: other platforms; containerd imports it, the runtime image never is one
        name = image_name(descriptor)
        images.append(
            ArchivedImage(
                (name,) if name else (),
                blob_path(manifest["config"]),
                tuple(map(blob_path, manifest["layers"])),
            )
        )
    if not images:
        raise ContentError(f"image archive {path} holds no images")
    return images


def image_name(descriptor: dict[str, Any]) -> str:
    """The reference an entry of ``index.json`` gives its image; empty without one."""
    names = descriptor.get("annotations") or {}
    name = names.get("io.containerd.image.name") or names.get("org.opencontainers.image.ref.name")
    return normalize(name) if name else ""


def blob_path(descriptor: dict[str, Any]) -> str:
    """The archive member that holds what `descriptor` points to."""
    return "blobs/" + str(descriptor["digest"]).replace(":", "/")


def no_space(error: OSError) -> bool:
    """Whether the disk (or its quota) is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
