"""The bytes behind the entry program: frames of a tar stream, and a footer that says where they begin."""

from __future__ import annotations

import hashlib
import struct
import tarfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import zstandard

from distribution.builder import tarstream
from distribution.builder.onefile import branches, elf

MAGIC = b"rke2file"
FOOTER = struct.Struct("<8sQQ32s")
"""Magic, offset of the first frame, size of what is unpacked, SHA-256 of the frames; see payload.go."""

_LEVEL = 22
_WINDOW = 27
"""Log2 of the bytes that are looked back to. Who unpacks needs as much memory for a moment."""


def write_frame(tree: Path, out: Path, *, known: Path | None = None, last: bool = False) -> int:
    """Pack `tree` as a part of the tar stream.

    Args:
        known: a tree that an earlier frame holds: its directories are not made again.
        last: the stream ends here.

    Returns:
        The bytes of its files.
    """
    size = 0
    with out.open("wb") as file, _compressor().stream_writer(file) as packed:
        for path in sorted(tree.rglob("*"), key=_order):
            name = path.relative_to(tree)
            if path.is_dir() and known is not None and (known / name).is_dir():
                continue
            info = _header(path, name.as_posix())
            size += info.size
            tarstream.add(packed, info, partial(_write_content, path))
        if last:
            tarstream.end(packed)
    return size


def _order(path: Path) -> tuple[int, str, Path]:
    """Directories, then files with those of their kind, which compress better together."""
    if path.is_dir():
        return 0, "", path
    return (1 if elf.is_elf(path) else 2), path.suffix, path


def link(entry: Path, frames: Sequence[Path], size: int, out: Path) -> None:
    """Write the file: the entry program, `frames`, the footer.

    Args:
        size: bytes of everything unpacked.
    """
    digest = hashlib.sha256()
    with out.open("wb") as file:
        file.write(entry.read_bytes())
        start = file.tell()
        for data in _contents(frames):
            digest.update(data)
            file.write(data)
        file.write(FOOTER.pack(MAGIC, start, size, digest.digest()))
    out.chmod(0o755)


def _compressor() -> zstandard.ZstdCompressor:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL, window_log=_WINDOW, write_checksum=True, threads=0
    )
    return zstandard.ZstdCompressor(compression_params=parameters)


def _header(path: Path, name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    if path.is_dir():
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    else:
        info.size = path.stat().st_size
        info.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
    return info


def _write_content(path: Path, out: tarstream.Sink) -> None:
    """As it is packed. Every ELF file is changed like this: who unpacks knows it by its first bytes."""
    if path.is_file():
        out.write(branches.absolute(path.read_bytes()) if elf.is_elf(path) else path.read_bytes())


def _contents(frames: Sequence[Path]) -> Iterator[bytes]:
    return (frame.read_bytes() for frame in frames)
