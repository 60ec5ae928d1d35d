"""Images as the OCI image specification describes them: config, manifest, descriptors.

Layers are plain tar (``…layer.v1.tar``): the archive around them is compressed as a whole, and importing
decompresses once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from distribution.builder.layers import Blob, Digest
from distribution.builder.tarstream import EPOCH, Sink

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
PLATFORM = {"architecture": "amd64", "os": "linux"}
CREATED = datetime.fromtimestamp(EPOCH, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Bytes:
    """A blob held in memory."""

    data: bytes

    def write_to(self, out: Sink) -> None:
        out.write(self.data)

    @property
    def digest(self) -> Digest:
        return Digest(hashlib.sha256(self.data).hexdigest(), len(self.data))


@dataclass(frozen=True)
class ImageLayer:
    """A layer, its digest (of the uncompressed tar, so it is the diff ID too) and how it came to be."""

    blob: Blob
    digest: Digest
    created_by: str


@dataclass(frozen=True)
class RunConfig:
    """What a container of the image runs unless told otherwise."""

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    user: str = ""
    workdir: str = ""
    env: tuple[str, ...] = ()


@dataclass(frozen=True)
class Image:
    """A finished image under its full reference (``docker.io/<prefix>/<name>:<tag>``)."""

    reference: str
    layers: tuple[ImageLayer, ...]
    run: RunConfig
    labels: Mapping[str, str]

    @property
    def tag(self) -> str:
        return self.reference.rpartition(":")[2]

    @property
    def config(self) -> Bytes:
        """The image's configuration."""
        fields = {
            "Cmd": list(self.run.cmd),
            "Entrypoint": list(self.run.entrypoint),
            "Env": [PATH, *self.run.env],
            "Labels": dict(self.labels),
            "User": self.run.user,
            "WorkingDir": self.run.workdir,
        }
        return _json(
            {
                **PLATFORM,
                "created": CREATED,
                "config": {name: value for name, value in fields.items() if value},
                "rootfs": {"type": "layers", "diff_ids": [str(layer.digest) for layer in self.layers]},
                "history": [{"created": CREATED, "created_by": layer.created_by} for layer in self.layers],
            }
        )

    @property
    def manifest(self) -> Bytes:
        """The image's manifest: its digest is the image's digest."""
        return _json(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST_TYPE,
                "config": _descriptor(CONFIG_TYPE, self.config.digest),
                "layers": [_descriptor(LAYER_TYPE, layer.digest) for layer in self.layers],
            }
        )

    def blobs(self) -> list[tuple[Digest, Blob]]:
        """Everything an archive must hold for it, what refers before what is referred to."""
        small = [(blob.digest, blob) for blob in (self.manifest, self.config)]
        return [*small, *((layer.digest, layer.blob) for layer in self.layers)]


def index(images: list[Image]) -> Bytes:
    """``index.json``; containerd takes an image's name from ``io.containerd.image.name``."""
    return _json(
        {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [_index_entry(image) for image in images]}
    )


def docker_manifest(images: list[Image]) -> Bytes:
    """``manifest.json`` of ``docker save``, which RKE2's reader of airgap archives wants."""
    return _json(
        [
            {
                "Config": blob_path(image.config.digest),
                "RepoTags": [image.reference],
                "Layers": [blob_path(layer.digest) for layer in image.layers],
            }
            for image in images
        ]
    )


def layout() -> Bytes:
    """The ``oci-layout`` file."""
    return _json({"imageLayoutVersion": "1.0.0"})


def blob_path(digest: Digest) -> str:
    """Where the blob lies in an archive."""
    return f"blobs/sha256/{digest.sha256}"


def _index_entry(image: Image) -> dict[str, Any]:
    return _descriptor(MANIFEST_TYPE, image.manifest.digest) | {
        "platform": PLATFORM,
        "annotations": {
            "io.containerd.image.name": image.reference,
            "org.opencontainers.image.ref.name": image.tag,
        },
    }


def _descriptor(media_type: str, digest: Digest) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(digest), "size": digest.size}


def _json(value: Any) -> Bytes:
    return Bytes(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())
