"""Layers: files as a tar stream that depends on nothing but their names, modes, owners and contents.

Entries are sorted, every time is `tarstream.EPOCH`, owners are numbers. A layer is written on demand and never stored:
its digest is computed by writing it into a hash, an archive gets it by writing it once more.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from distribution.builder import tarstream
from distribution.builder.tarstream import Sink


@dataclass(frozen=True)
class Digest:
    """A blob's identity: ``sha256:<hex>`` and its size in bytes."""

    sha256: str
    size: int

    def __str__(self) -> str:
        return f"sha256:{self.sha256}"


class Blob(Protocol):
    """Bytes that can be written more than once, the same every time."""

    def write_to(self, out: Sink) -> None:
        """Write all of it."""


@dataclass(frozen=True)
class Entry:
    """One file, directory or symbolic link of a layer.

    Attributes:
        path: absolute path in the image.
        kind: one of the ``tarfile`` types `REGTYPE`, `DIRTYPE`, `SYMTYPE`.
        content: for files: bytes, or the path of a file on this machine.
        target: for links.
    """

    path: str
    mode: int
    kind: bytes = tarfile.REGTYPE
    content: bytes | Path = b""
    target: str = ""
    uid: int = 0
    gid: int = 0

    @property
    def name(self) -> str:
        """The path as tar archives of layers write it: relative."""
        return self.path.strip("/")

    @property
    def size(self) -> int:
        """Bytes of content."""
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)

    def write_to(self, out: Sink) -> None:
        """Write the content."""
        if isinstance(self.content, Path):
            StoredBlob(self.content).write_to(out)
        else:
            out.write(self.content)


def directory(path: str, mode: int = 0o755, uid: int = 0) -> Entry:
    """A directory owned by `uid` and the group of the same number."""
    return Entry(path, mode, tarfile.DIRTYPE, uid=uid, gid=uid)


def symlink(path: str, target: str) -> Entry:
    """A symbolic link."""
    return Entry(path, 0o777, tarfile.SYMTYPE, target=target)


@dataclass(frozen=True)
class Layer:
    """Files of one layer. Parent directories that no entry names are added, owned by root, mode 0755."""

    entries: tuple[Entry, ...]

    def write_to(self, out: Sink) -> None:
        """Write the tar stream."""
        for entry in complete(self.entries):
            tarstream.add(out, _header(entry), entry.write_to)
        tarstream.end(out)


@dataclass(frozen=True)
class StoredBlob:
    """A blob that is a file on this machine."""

    path: Path

    def write_to(self, out: Sink) -> None:
        with self.path.open("rb") as file:
            shutil.copyfileobj(file, out, tarstream.CHUNK)


def complete(entries: Iterable[Entry]) -> list[Entry]:
    """`entries` with all parent directories, in the order of the archive; the last of equal paths wins."""
    by_name = {entry.name: entry for entry in entries}
    for name in list(by_name):
        for parent in PurePosixPath(name).parents:
            if str(parent) != "." and str(parent) not in by_name:
                by_name[str(parent)] = directory(str(parent))
    return [by_name[name] for name in sorted(by_name)]


def digest_of(blob: Blob) -> Digest:
    """The digest of what `blob` writes."""
    out = _Hasher()
    blob.write_to(out)
    return Digest(out.hash.hexdigest(), out.size)


def _header(entry: Entry) -> tarfile.TarInfo:
    info = tarfile.TarInfo(entry.name)
    info.type = entry.kind
    info.mode = entry.mode
    info.uid, info.gid = entry.uid, entry.gid
    info.linkname = entry.target
    info.size = entry.size
    return info


class _Hasher:
    """A sink that keeps only the hash and the number of the bytes written to it."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        self.size += len(data)
        return len(data)
