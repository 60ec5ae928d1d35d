"""Makes small image archives the way docker and OCI tools lay them out."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path


def layer(files: dict[str, bytes]) -> bytes:
    """A layer's tar with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def image_members(
    reference: str, layers: list[bytes], architecture: str = "amd64", layout: str = "docker"
) -> dict[str, bytes]:
    """The members of an archive with one image; `layout` is ``docker`` or ``oci``."""
    config = json.dumps({"architecture": architecture, "os": "linux"}).encode()
    blobs = {_path(blob): blob for blob in (config, *layers)}
    if layout == "docker":
        manifest = [
            {"Config": _path(config), "RepoTags": [reference], "Layers": [_path(blob) for blob in layers]}
        ]
        return {"manifest.json": json.dumps(manifest).encode(), **blobs}
    manifest_blob = json.dumps(
        {"config": _descriptor(config), "layers": [_descriptor(blob) for blob in layers]}
    ).encode()
    index = {
        "manifests": [_descriptor(manifest_blob) | {"annotations": {"io.containerd.image.name": reference}}]
    }
    return {**blobs, _path(manifest_blob): manifest_blob, "index.json": json.dumps(index).encode()}


def tarball(members: dict[str, bytes]) -> bytes:
    return layer(members)


def write_archive(path: Path, members: dict[str, bytes]) -> Path:
    """Write the members to `path`, compressed as its name says."""
    path.write_bytes(_compress(path.name, tarball(members)))
    return path


def _compress(name: str, data: bytes) -> bytes:
    if name.endswith((".tar.gz", ".tgz")):
        import gzip

        return gzip.compress(data)
    if name.endswith((".tar.bz2", ".tbz")):
        import bz2

        return bz2.compress(data)
    if name.endswith((".tar.zst", ".tzst")):
        import zstandard

        return zstandard.compress(data)
    if name.endswith(".tar.lz4"):
        import lz4.frame

        return bytes(lz4.frame.compress(data))
    return data


def _path(blob: bytes) -> str:
    return f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}"


def _descriptor(blob: bytes) -> dict[str, object]:
    return {"digest": f"sha256:{hashlib.sha256(blob).hexdigest()}", "size": len(blob)}
