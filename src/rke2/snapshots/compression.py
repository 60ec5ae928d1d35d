"""Compressed snapshots: zip files as RKE2 makes them, or zstd, which takes a fraction of the time.

A zip file has one deflated entry, called like the snapshot, with the time it was taken at.
"""

from __future__ import annotations

import shutil
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import zstandard

from rke2.errors import EtcdError
from rke2.snapshots.names import PART, ZIP, ZST, suffix_of
from rke2.snapshots.receiving import BUFFER, open_new, put_in_place, synced

DEFAULT = "zip"
_EARLIEST = (1980, 1, 1, 0, 0, 0)
_DAMAGED = (zipfile.BadZipFile, zlib.error, zstandard.ZstdError, EOFError, NotImplementedError, RuntimeError)


def compress(path: Path, taken: int, how: str = DEFAULT) -> Path:
    """Put the snapshot at `path` into ``<path>.zip`` or ``.zst``; `path` itself is gone afterwards, as in RKE2.

    Args:
        how: of `FORMATS`.

    Raises:
        OSError: the file cannot be written; there is neither of them then.
    """
    suffix, write = FORMATS[how]
    target = path.with_name(path.name + suffix)
    part = target.with_name(target.name + PART)
    try:
        with path.open("rb") as raw, open_new(part) as file:
            write(raw, file, path, taken)
            synced(file)
        put_in_place(part, target)
    finally:
        part.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    return target


def _zip(raw: IO[bytes], file: IO[bytes], path: Path, taken: int) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo(path.name, max(time.localtime(taken)[:6], _EARLIEST))
        entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
        # More than 2 GiB need other fields, which must be decided on before the first byte.
        with archive.open(entry, "w", force_zip64=True) as sink:
            shutil.copyfileobj(raw, sink, BUFFER)


def _zst(raw: IO[bytes], file: IO[bytes], path: Path, taken: int) -> None:
    compressor = zstandard.ZstdCompressor(write_checksum=True)
    compressor.copy_stream(raw, file, size=path.stat().st_size, read_size=BUFFER, write_size=BUFFER)


FORMATS: Mapping[str, tuple[str, Callable[[IO[bytes], IO[bytes], Path, int], None]]] = {
    "zip": (ZIP, _zip),
    "zstd": (ZST, _zst),
}
"""By the word of ``etcd-snapshot-compression``: the end of the file's name, and what writes it."""


def decompress(path: Path, target: Path) -> None:
    """Write the snapshot in the compressed file `path` to `target`.

    Raises:
        EtcdError: it is not such a file, has another number of entries than one, or is damaged.
        OSError: a file cannot be read or written.
    """
    read = _unzst if suffix_of(path.name) == ZST else _unzip
    try:
        with open_new(target) as sink:
            read(path, sink)
            synced(sink)
    except _DAMAGED as error:
        raise EtcdError(f"{path} cannot be decompressed: {error}", "use another snapshot") from error


def _unzip(path: Path, sink: IO[bytes]) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if len(entries) != 1 or entries[0].is_dir():
            raise EtcdError(
                f"{path}: unexpected compressed etcd snapshot contents",
                "it must hold one file, the snapshot; pack that alone, or unpack it and restore the file itself",
            )
        with archive.open(entries[0]) as source:
            shutil.copyfileobj(source, sink, BUFFER)


def _unzst(path: Path, sink: IO[bytes]) -> None:
    """A file that is cut off ends early here, in silence; the snapshot's own sum, which comes next, tells."""
    decompressor = zstandard.ZstdDecompressor()
    with path.open("rb") as file, decompressor.stream_reader(file, read_across_frames=True) as source:
        shutil.copyfileobj(source, sink, BUFFER)
