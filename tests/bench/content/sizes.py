"""Sizes of the archives, and of each image: compressed as its archive compresses, and unpacked."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from distribution.builder.archives import compressor
from rke2.content.images.archives import CHUNK, member_name, open_archive
from rke2.content.images.tables import list_images
from tests.bench.content.options import Options


@dataclass(frozen=True)
class Size:
    """Bytes.

    Attributes:
        compressed: as if the image were alone in its archive: layers it shares with others count for each of them.
        unpacked: the layers.
    """

    compressed: int
    unpacked: int


def of_images(archive: Path) -> dict[str, Size]:
    """The size of each image in `archive`, by reference; every layer is compressed again."""
    with open_archive(archive) as tar:
        blobs = dict(_blobs(tar))
    found = {}
    for image in list_images(archive):
        layers = [blobs[name] for name in image.layers]
        compressed = sum(size.compressed for size in (*layers, blobs[image.config]))
        found[image.references[0]] = Size(compressed, sum(size.unpacked for size in layers))
    return found


def measure(options: Options) -> None:
    """Print all of them."""
    print(f"{'archive or image':<60}{'MB':>7}{'unpacked':>10}")
    for archive in options.archives:
        print(f"{archive.name:<60}{archive.stat().st_size / 1e6:>7.1f}")
        for reference, size in of_images(archive).items():
            print(f"  {reference:<58}{size.compressed / 1e6:>7.1f}{size.unpacked / 1e6:>10.1f}", flush=True)


def _blobs(tar: tarfile.TarFile) -> Iterator[tuple[str, Size]]:
    for member in tar:
        content = tar.extractfile(member) if member.isreg() else None
        if content is not None:
            yield member_name(member), Size(_compressed(content), member.size)


def _compressed(content: IO[bytes]) -> int:
    stream = compressor().compressobj()
    total = 0
    while chunk := content.read(CHUNK):
        total += len(stream.compress(chunk))
    return total + len(stream.flush())
