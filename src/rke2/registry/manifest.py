"""Manifests and indexes (OCI image specification, Docker's schema 2) and the choice of a platform."""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec

from rke2.errors import RegistryError
from rke2.registry.reference import DIGEST

LARGEST = 4 << 20
"""Bytes of a manifest; the specification asks registries to accept no larger ones."""

MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)

Digest = Annotated[str, msgspec.Meta(pattern=f"^(?:{DIGEST.pattern})$")]
Size = Annotated[int, msgspec.Meta(ge=0)]


class Platform(msgspec.Struct, frozen=True):
    architecture: str = ""
    os: str = ""
    variant: str = ""


class Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    """A blob or manifest by its digest; `size` in bytes."""

    digest: Digest
    size: Size
    media_type: str = ""
    platform: Platform | None = None


class ImageManifest(msgspec.Struct, frozen=True, rename="camel"):
    """One image for one platform."""

    config: Descriptor
    layers: list[Descriptor]
    media_type: str = MANIFEST_TYPES[1]


class Index(msgspec.Struct, frozen=True, rename="camel"):
    """Manifests for several platforms."""

    manifests: list[Descriptor]


class _Document(msgspec.Struct, rename="camel"):
    schema_version: int = 2
    manifests: list[Descriptor] | None = None
    config: Descriptor | None = None
    layers: list[Descriptor] | None = None
    media_type: str = MANIFEST_TYPES[1]


def parse(content: bytes, what: str) -> ImageManifest | Index:
    """Read a manifest or an index; which it is follows from its keys, as media types are often left out.

    Args:
        what: names it in errors.

    Raises:
        RegistryError: it is neither.
    """
    try:
        document = msgspec.json.decode(content, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RegistryError(f"{what}: what the registry sent is not a manifest: {error}") from error
    if document.schema_version == 2 and document.manifests is not None:
        return Index(document.manifests)
    if document.schema_version == 2 and document.config is not None and document.layers is not None:
        return ImageManifest(document.config, document.layers, document.media_type)
    raise RegistryError(
        f"{what}: the registry has a manifest of an unknown kind (schema version {document.schema_version})",
        "push the image again with a current tool",
    )


def choose(index: Index, architecture: str, what: str) -> Descriptor:
    """The manifest for ``linux/<architecture>``; of several variants the first, which is the base one.

    Raises:
        RegistryError: there is none.
    """
    wanted = [each for each in index.manifests if each.platform and _fits(each.platform, architecture)]
    if wanted:
        return wanted[0]
    found = [f"{each.platform.os}/{each.platform.architecture}" for each in index.manifests if each.platform]
    raise RegistryError(
        f"{what} is not there for linux/{architecture}, only for {', '.join(found) or 'no platform at all'}",
        "use an image built for this architecture",
    )


def _fits(platform: Platform, architecture: str) -> bool:
    return (platform.os, platform.architecture) == ("linux", architecture)


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """``<algorithm>:<hex>`` of the content."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
