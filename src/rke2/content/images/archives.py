"""Image archives as `docker save`, OCI tools and RKE2's airgap files make them.

Read as streams: an archive is never unpacked to look into it; `tables` says which images are in one. Whoever reads an
archive through `open_archive` never sees a member that would leave the directory it is unpacked to, or that is no file,
directory or link.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import hashlib
import posixpath
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from rke2.errors import ContentError
from rke2.host.architecture import oci_architecture

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

SMALL = 4 << 20
"""JSON blobs are below this size; larger members are layers."""

_BOMB_SIZE, _BOMB_RATIO = 1 << 30, 500
"""From this size on, an archive must not be more than that many times as large as its file."""

CORRUPT_REMEDY = "copy it again and compare its checksum with sha256sum-*.txt"
SUSPICIOUS = "do not use it; make it again from a source you trust"

MALFORMED = (ValueError, KeyError, TypeError, AttributeError)
"""What reading JSON of another shape raises."""


class MemberError(Exception):
    """A member of an archive that cannot be accepted; `open_archive` makes it an error that names the archive.

    Args:
        reason: what is wrong, to be read after the archive's name.
        remedy: what the operator can do.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


def is_archive(path: Path) -> bool:
    """Whether the file name is that of an image archive."""
    return path.is_file() and _compression(path) is not None


@contextmanager
def open_archive(path: Path, *, tee: Callable[[bytes], None] | None = None) -> Iterator[tarfile.TarFile]:
    """The archive as a tar stream; members must be read in order.

    Args:
        tee: given every byte of the decompressed archive in the order in which it is read.

    Raises:
        ContentError: it cannot be read, is truncated or corrupt, its compression is unknown, or a member of it
            must not be accepted.
    """
    with errors_named(path), path.open("rb") as raw:
        source = _Decompressed(_decompress(path, raw), raw, tee)
        with _CheckedTar.open(fileobj=cast(IO[bytes], source), mode="r|", bufsize=CHUNK) as tar:
            yield tar


@contextmanager
def errors_named(path: Path) -> Iterator[None]:
    """What goes wrong in the block while the archive at `path` is read becomes an error that names it.

    Raises:
        ContentError: see `open_archive`.
    """
    try:
        yield
    except MemberError as error:
        raise ContentError(f"image archive {path}: {error.reason}", error.remedy) from error
    except (tarfile.TarError, EOFError, _CorruptError, *MALFORMED) as error:
        raise ContentError(
            f"image archive {path} is truncated or corrupt: {error or type(error).__name__}", CORRUPT_REMEDY
        ) from error
    except _UnreadableError as error:
        raise ContentError(f"image archive {path} cannot be read: {error}", CORRUPT_REMEDY) from error
    except OSError as error:
        if error.filename != str(path):
            raise
        raise ContentError(
            f"image archive {path} cannot be read: {error.strerror}", "check its owner and mode"
        ) from error


def member_name(member: tarfile.TarInfo) -> str:
    """The member's name without a leading ``./``."""
    return member.name.removeprefix("./")


def read_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """The content of a small member, checked against the digest in its name if it has one.

    Raises:
        MemberError: it is not small, or has another digest.
    """
    if member.size > SMALL:
        raise MemberError(
            f"{member.name} has {member.size} bytes, too many for what it should be", SUSPICIOUS
        )
    with verified(tar, member) as stream:
        return stream.read()


@contextmanager
def verified(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[IO[bytes]]:
    """The member's content; what the block leaves unread is read, so that the digest is always checked.

    Raises:
        MemberError: the content of a ``blobs/sha256/…`` member does not have that digest.
    """
    source = tar.extractfile(member)
    if source is None:
        raise MemberError(f"{member.name} is not a file", CORRUPT_REMEDY)
    stream = HashingReader(source)
    yield cast(IO[bytes], stream)
    while stream.read(CHUNK):
        pass
    algorithm, _, expected = member_name(member).removeprefix("blobs/").partition("/")
    if algorithm == "sha256" and stream.sha256.hexdigest() != expected:
        raise MemberError(
            f"{member.name} has another content than its digest says", "the archive is damaged; copy it again"
        )


def check_platform(config: Mapping[str, Any], name: str) -> None:
    """See that an image runs on this host.

    Args:
        config: the image's configuration.
        name: of the image.

    Raises:
        MemberError: it is for another architecture or operating system.
    """
    wanted = f"linux/{oci_architecture()}"
    found = f"{config.get('os') or 'linux'}/{config.get('architecture', '')}"
    if found != wanted:
        raise MemberError(
            f"{name} in it is for {found}, this host is {wanted}",
            f"use the archives named {wanted.replace('/', '-')}",
        )


def refuse_too_large(member: tarfile.TarInfo, room: Path) -> None:
    """See that there is room for a member.

    Raises:
        MemberError: it is larger than what is free in the file system of `room`.
    """
    free = shutil.disk_usage(room).free
    if member.size > free:
        raise MemberError(
            f"{member.name} in it has {member.size >> 20} MiB, in {room} are {free >> 20} MiB free",
            "free space there, if the archive is what it should be",
        )


def decompress_layer(stream: IO[bytes]) -> IO[bytes]:
    """The layer's tar stream, whatever its compression (told by its first bytes)."""
    peekable = cast(BinaryIO, _Peekable(stream))
    magic = peekable.peek(4)  # type: ignore[attr-defined]
    plain: IO[bytes] = peekable
    if magic.startswith(b"\x1f\x8b"):
        plain = cast(IO[bytes], gzip.GzipFile(fileobj=peekable))
    elif magic == b"\x28\xb5\x2f\xfd":
        import zstandard

        plain = cast(IO[bytes], zstandard.ZstdDecompressor().stream_reader(peekable, read_across_frames=True))
    return cast(IO[bytes], _Decompressed(plain))


class HashingReader:
    """A stream that knows the SHA-256 of what was read from it."""

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


class _CheckedTar(tarfile.TarFile):
    """A tar whose members stay inside and are files, directories or links."""

    def next(self) -> tarfile.TarInfo | None:
        member = super().next()
        if member is not None:
            _refuse_unsafe(member)
        return member


def _refuse_unsafe(member: tarfile.TarInfo) -> None:
    if _leaves(member.name):
        raise MemberError(f"{member.name!r} in it would be outside of where it is unpacked", SUSPICIOUS)
    if member.issym() or member.islnk():
        start = posixpath.dirname(member.name) if member.issym() else ""
        if member.linkname.startswith("/") or _leaves(posixpath.join(start, member.linkname)):
            raise MemberError(f"{member.name!r} in it is a link to {member.linkname!r} outside", SUSPICIOUS)
    elif not (member.isfile() or member.isdir()):
        raise MemberError(f"{member.name!r} in it is a device or a pipe", SUSPICIOUS)


def _leaves(name: str) -> bool:
    return posixpath.normpath(name).startswith(("/", "..")) or "\0" in name


class _CorruptError(Exception):
    """The compressed data is damaged."""


class _UnreadableError(Exception):
    """The file system failed."""


class _Decompressed:
    """The bytes in an archive; errors of every decompressor are told from those of whoever uses the bytes."""

    def __init__(
        self, stream: IO[bytes], raw: BinaryIO | None = None, tee: Callable[[bytes], None] | None = None
    ) -> None:
        self._stream = stream
        self._raw = raw
        self._tee = tee
        self._produced = 0
        self._errors = _decompression_errors()

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._stream.read(size)
        except self._errors as error:
            raise _CorruptError(str(error) or type(error).__name__) from error
        except OSError as error:
            if error.errno is None:  # bz2 and gzip
                raise _CorruptError(str(error)) from error
            raise _UnreadableError(error.strerror) from error
        self._produced += len(data)
        if self._raw and self._produced > max(_BOMB_SIZE, _BOMB_RATIO * self._raw.tell()):
            raise MemberError(f"it unpacks to more than {_BOMB_RATIO} times its size", SUSPICIOUS)
        if self._tee and data:
            self._tee(data)
        return data


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

        return cast(
            IO[bytes],
            zstandard.ZstdDecompressor().stream_reader(raw, read_size=CHUNK, read_across_frames=True),
        )
    if kind == "lz4":
        import lz4.frame

        return cast(IO[bytes], lz4.frame.LZ4FrameFile(raw))
    if kind == "none":
        return raw
    raise ContentError(f"{path} is not an image archive", f"supported endings: {', '.join(SUFFIXES)}")


def _decompression_errors() -> tuple[type[BaseException], ...]:
    import zlib

    import zstandard

    return (
        EOFError,
        gzip.BadGzipFile,
        zlib.error,
        zstandard.ZstdError,
        RuntimeError,  # lz4.frame
    )


def no_space(error: OSError) -> bool:
    """Whether the disk (or its quota) is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
