"""Airgap archives: ``rke2-images-<name>.linux-amd64.tar.zst`` and what lies beside it.

An archive is an OCI layout and a ``docker save`` archive at once. Its first members are ``manifest.json``,
``index.json`` and ``oci-layout``, so a reader knows what follows; then the blobs, image by image in the order a
booting node needs them.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import msgspec
import zstandard

from distribution.builder import keys, oci, tarstream
from distribution.builder.layers import Blob, Digest
from distribution.builder.oci import Image
from distribution.builder.recipes import read_toml
from distribution.builder.tarstream import Sink

ZSTD_LEVEL = 3
ZSTD_WINDOW_LOG = 25
"""32 MiB, the most that RKE2 and k3s read: they refuse archives with a longer one (``window size exceeded``).
It is also the memory that reading takes. 128 MiB would save a fifth of the size (docs/performance.md)."""
_DECIDING = ("archives", "images", "layers", "oci", "sbom", "tarstream")


class Archive(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One archive: its name and its images in the order of the file.

    Attributes:
        optional: built only when it is asked for, with everything that no other archive needs.
    """

    name: str
    images: tuple[str, ...]
    optional: bool = False

    @property
    def stem(self) -> str:
        return f"rke2-images-{self.name}.linux-amd64"


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``release.toml``: the archives, and the config flags that name images (flag -> image)."""

    archives: tuple[Archive, ...] = msgspec.field(name="archive")
    flags: dict[str, str]


def load(path: Path) -> Plan:
    """The plan of the release.

    Raises:
        RecipeError: naming file and key.
    """
    return read_toml(path, Plan)


def code_key() -> str:
    """The key of the code that decides an archive's bytes."""
    here = Path(__file__).parent
    return keys.of_tree(here, [here / f"{name}.py" for name in _DECIDING])


def compressor() -> zstandard.ZstdCompressor:
    """Compresses as archives are compressed."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        ZSTD_LEVEL, window_log=ZSTD_WINDOW_LOG, enable_ldm=True, write_checksum=True
    )
    return zstandard.ZstdCompressor(compression_params=parameters)


def write(images: list[Image], path: Path) -> None:
    """Write the archive of `images`."""
    with path.open("wb") as file, compressor().stream_writer(file) as out:
        _write_tar(images, out)


def _write_tar(images: list[Image], out: Sink) -> None:
    for name, blob in (
        ("manifest.json", oci.docker_manifest(images)),
        ("index.json", oci.index(images)),
        ("oci-layout", oci.layout()),
    ):
        _add(out, name, blob.digest, blob)
    written: set[Digest] = set()
    for image in images:
        for digest, content in image.blobs():
            if digest not in written:
                _add(out, oci.blob_path(digest), digest, content)
                written.add(digest)
    tarstream.end(out)


def _add(out: Sink, name: str, digest: Digest, blob: Blob) -> None:
    info = tarfile.TarInfo(name)
    info.mode = 0o644
    info.size = digest.size
    tarstream.add(out, info, blob.write_to)
