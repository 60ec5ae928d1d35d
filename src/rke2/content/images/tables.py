"""Which images an archive holds: docker's table of contents (``manifest.json``) and the OCI's (``index.json``).

An archive may have both. containerd reads the OCI's then, so that is what counts here; docker's is read instead where
both have the same names, because it says what the images are made of without their manifests, which lie behind layers,
and where the OCI's has no names at all.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rke2.content.images.archives import (
    CORRUPT_REMEDY,
    MALFORMED,
    SMALL,
    SUSPICIOUS,
    MemberError,
    member_name,
    open_archive,
    read_member,
)
from rke2.content.images.names import image_name, normalize, why_nameless
from rke2.errors import ContentError
from rke2.host.architecture import oci_architecture

DOCKER, OCI = "manifest.json", "index.json"

_SMALL_IN_ALL = 64 << 20
"""What all the JSON of an archive may take in memory."""

_NAME_IT = (
    "save it by its full name: docker save registry.example/team/app:1.0, "
    "skopeo copy … oci-archive:FILE:registry.example/team/app:1.0"
)


@dataclass(frozen=True)
class ArchivedImage:
    """One image of an archive: its names and the archive members it is made of.

    Attributes:
        digest: what containerd will store it under (``sha256:…``); empty in docker's format, where containerd
            makes the manifest itself.
        nameless: without references, why: no pod finds the image.
    """

    references: tuple[str, ...]
    config: str
    layers: tuple[str, ...]
    digest: str = ""
    nameless: str = ""


def list_images(path: Path) -> list[ArchivedImage]:
    """The images in the archive. Stops reading at the table of contents if that comes first.

    Raises:
        ContentError: the archive is unreadable, or holds no image that a pod could find.
    """
    small = SmallMembers()
    with open_archive(path) as tar:
        for member in tar:
            small.read(tar, member)
            if small.complete():
                break
        return images_of(small.content)


class SmallMembers:
    """The small members of an archive as they pass: all of its JSON is among them."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self._size = 0
        self._after_docker_table = 0

    def read(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Keep `member`, which is the one that `tar` stands at, if it is small.

        Raises:
            MemberError: its digest is wrong, or there is more JSON than an image archive has.
        """
        self._after_docker_table += DOCKER in self.content
        if not member.isfile() or member.size > SMALL:
            return
        self._size += member.size
        if self._size > _SMALL_IN_ALL:
            raise MemberError(f"it has more than {_SMALL_IN_ALL >> 20} MiB of small files", SUSPICIOUS)
        self.content[member_name(member)] = read_member(tar, member)

    def complete(self) -> bool:
        """Whether what `images_of` needs is there: docker's table, with the OCI's if that is the next member, or
        the OCI's with every manifest it names; if it has no names, docker's may follow.
        """
        try:
            if DOCKER in self.content and OCI not in self.content:
                return self._after_docker_table > 0
            return OCI in self.content and (
                _dockers_will_do(self.content)
                or (
                    has_names(self.content[OCI])
                    and all(blob_path(entry) in self.content for entry in entries(self.content[OCI]))
                )
            )
        except MALFORMED:
            return True


def images_of(small: Mapping[str, bytes]) -> list[ArchivedImage]:
    """The images of an archive, from its small members.

    Raises:
        MemberError: there is no table of contents, it is malformed, or it names no image.
    """
    try:
        images = _images(small)
    except MALFORMED as error:
        raise MemberError(f"its table of contents is malformed: {error!r}", CORRUPT_REMEDY) from error
    if not images:
        raise MemberError(f"it holds no images for linux/{oci_architecture()}", CORRUPT_REMEDY)
    if not any(image.references for image in images):
        raise MemberError(f"{', '.join(nameless(images))}: no pod would find it", _NAME_IT)
    return images


def nameless(images: Iterable[ArchivedImage]) -> list[str]:
    """What is to be said of those that no pod finds."""
    return [image.nameless for image in images if image.nameless]


def entries(index: bytes) -> list[dict[str, Any]]:
    """The entries of an ``index.json``."""
    return list(json.loads(index)["manifests"])


def has_names(index: bytes) -> bool:
    """Whether any entry of an ``index.json`` has a name that pods find."""
    return any(map(image_name, entries(index)))


def blob_path(descriptor: dict[str, Any]) -> str:
    """The archive member that holds what `descriptor` points to."""
    return "blobs/" + str(descriptor["digest"]).replace(":", "/", 1)


def member_path(name: str) -> str:
    """A member's name in docker's table of contents, as `member_name` gives it."""
    return name.removeprefix("./")


def _images(small: Mapping[str, bytes]) -> list[ArchivedImage]:
    if DOCKER in small and (OCI not in small or _dockers_will_do(small)):
        return _docker_images(small[DOCKER], _digests(small.get(OCI, b"")))
    if OCI in small:
        return _oci_images(small)
    raise MemberError(
        f"it is not an image archive: it has neither {DOCKER} nor {OCI}",
        "put only image archives and image lists into this directory",
    )


def _dockers_will_do(small: Mapping[str, bytes]) -> bool:
    """Whether docker's table says of both what the OCI's would, or more."""
    if DOCKER not in small:
        return False
    index = [image_name(entry) for entry in entries(small[OCI])]
    docker = [_tag(tag) for entry in json.loads(small[DOCKER]) for tag in entry.get("RepoTags") or ()]
    return not any(index) or {*index} == {*docker}


def _docker_images(manifest: bytes, digests: Mapping[str, str]) -> list[ArchivedImage]:
    images = []
    for entry in json.loads(manifest):
        references = tuple(map(_tag, entry.get("RepoTags") or ()))
        layers = tuple(map(member_path, entry["Layers"]))
        found = {digests.get(reference, "") for reference in references}
        digest = found.pop() if len(found) == 1 else ""
        config = member_path(entry["Config"])
        why = "" if references else f"its image with the configuration {config} has no name"
        images.append(ArchivedImage(references, config, layers, digest, why))
    return images


def _tag(text: str) -> str:
    """A name in docker's table; containerd refuses the whole archive for a bad one.

    Raises:
        MemberError: it is not a reference.
    """
    try:
        return normalize(text)
    except ContentError as error:
        raise MemberError(f"an image of it is called {text!r}: {error.message}", _NAME_IT) from error


def _digests(index: bytes) -> dict[str, str]:
    """The digests that the OCI's table gives, by reference."""
    found = {image_name(entry): str(entry["digest"]) for entry in entries(index)} if index else {}
    return {name: digest for name, digest in found.items() if name}


def _oci_images(small: Mapping[str, bytes]) -> list[ArchivedImage]:
    images = []
    for descriptor in entries(small[OCI]):
        manifest = _for_this_platform(small, json.loads(small[blob_path(descriptor)]))
        if manifest is None:
            continue  # containerd imports nothing of it
        name = image_name(descriptor)
        images.append(
            ArchivedImage(
                (name,) if name else (),
                blob_path(manifest["config"]),
                tuple(map(blob_path, manifest["layers"])),
                str(descriptor["digest"]),
                why_nameless(descriptor),
            )
        )
    return images


def _for_this_platform(small: Mapping[str, bytes], document: dict[str, Any]) -> dict[str, Any] | None:
    """The manifest itself, or of a list of manifests for several platforms the one for this host."""
    if "layers" in document:
        return document
    wanted = {"os": "linux", "architecture": oci_architecture()}
    for descriptor in document.get("manifests") or ():
        platform = descriptor.get("platform") or {}
        if wanted.items() <= platform.items() and blob_path(descriptor) in small:
            return _for_this_platform(small, json.loads(small[blob_path(descriptor)]))
    return None
