"""Snapshots as zip files: one deflated entry, called like the snapshot, with the time it was taken at."""

from __future__ import annotations

import shutil
import time
import zipfile
import zlib
from pathlib import Path

from rke2.errors import EtcdError
from rke2.snapshots.names import PART, ZIP
from rke2.snapshots.receiving import BUFFER, open_new, put_in_place, synced

_EARLIEST = (1980, 1, 1, 0, 0, 0)


def compress(path: Path, taken: int) -> Path:
    """Put the snapshot at `path` into ``<path>.zip``; `path` itself is gone afterwards, as in RKE2.

    Raises:
        OSError: the file cannot be written; there is neither of them then.
    """
    target = path.with_name(path.name + ZIP)
    part = target.with_name(target.name + PART)
    try:
        with path.open("rb") as raw, open_new(part) as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                entry = zipfile.ZipInfo(path.name, max(time.localtime(taken)[:6], _EARLIEST))
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
                # More than 2 GiB need other fields, which must be decided on before the first byte.
                with archive.open(entry, "w", force_zip64=True) as sink:
                    shutil.copyfileobj(raw, sink, BUFFER)
            synced(file)
        put_in_place(part, target)
    finally:
        part.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    return target


def decompress(path: Path, target: Path) -> None:
    """Write the one entry of the zip file `path` to `target`.

    Raises:
        EtcdError: it is no zip file, has another number of entries than one, or is damaged.
        OSError: a file cannot be read or written.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) != 1 or entries[0].is_dir():
                raise EtcdError(
                    f"{path}: unexpected compressed etcd snapshot contents",
                    "it must hold one file, the snapshot; pack that alone, or unpack it and restore the file itself",
                )
            with archive.open(entries[0]) as source, open_new(target) as sink:
                shutil.copyfileobj(source, sink, BUFFER)
                synced(sink)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise EtcdError(f"{path} cannot be decompressed: {error}", "use another snapshot") from error
