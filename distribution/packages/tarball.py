"""``rke2.linux-amd64.tar.gz``: what ``install.sh`` unpacks below a prefix."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Iterable
from pathlib import Path

from distribution.builder import tarstream
from distribution.packages.layout import File

_LEVEL = 6
"""The program in it is compressed already."""


def write(files: Iterable[File], target: Path) -> None:
    """Write the archive; the same files give the same bytes."""
    # gzip.open would write the name of the file into it.
    with target.open("wb") as raw, gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as out:
        for file in sorted(files, key=lambda file: file.path):
            _add(out, file)
        tarstream.end(out)


def _add(out: gzip.GzipFile, file: File) -> None:
    info = tarfile.TarInfo(file.path)
    info.size, info.mode, info.uname, info.gname = len(file.content), file.mode, "root", "root"

    def write_content(sink: tarstream.Sink) -> None:
        sink.write(file.content)

    tarstream.add(out, info, write_content)
