"""Images that were pulled as one archive: an OCI layout that containerd, docker and our own import read."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from rke2.content.images.names import FULL_NAME, REF_NAME
from rke2.registry.manifest import MANIFEST_TYPES
from rke2.registry.pull import PulledImage


def write(images: Sequence[PulledImage], sink: IO[bytes]) -> None:
    """Write the archive to `sink`, its tables of contents first, each blob once."""
    blobs: dict[str, bytes | Path] = {}
    for image in images:
        blobs[_member(image.digest)] = image.manifest
        blobs |= {_member_of(path): path for path in (image.config, *image.layers)}
    index = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPES[0],
        "manifests": [_entry(each) for each in images],
    }
    with tarfile.open(fileobj=sink, mode="w|") as tar:
        _add(tar, "manifest.json", _json([_docker_entry(image) for image in images]))
        _add(tar, "index.json", _json(index))
        _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        for name, blob in blobs.items():
            _add(tar, name, blob)


def _entry(image: PulledImage) -> dict[str, Any]:
    return {
        "mediaType": json.loads(image.manifest).get("mediaType") or MANIFEST_TYPES[1],
        "digest": image.digest,
        "size": len(image.manifest),
        "annotations": {
            FULL_NAME: image.reference.looked_up,
            REF_NAME: image.reference.tag or image.reference.digest,
        },
    }


def _docker_entry(image: PulledImage) -> dict[str, Any]:
    reference = image.reference
    return {
        "Config": _member_of(image.config),
        "RepoTags": [f"{reference.name}:{reference.tag}"] if reference.tag else [],
        "Layers": [_member_of(layer) for layer in image.layers],
    }


def _member(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _member_of(path: Path) -> str:
    """Files of blobs are named ``<algorithm>-<hex>``."""
    return "blobs/" + path.name.replace("-", "/")


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _add(tar: tarfile.TarFile, name: str, content: bytes | Path) -> None:
    info = tarfile.TarInfo(name)
    info.mode = 0o644
    if isinstance(content, bytes):
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
        return
    info.size = content.stat().st_size
    with content.open("rb") as source:
        tar.addfile(info, source)
