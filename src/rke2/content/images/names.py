"""What images are called: by operators, by the tools that write archives, and by containerd.

A pod's image is found under one spelling only, the one that the CRI makes of what the pod says: with registry,
``library/`` and a tag or a digest. Archives have others. ``ctr images import`` and RKE2 register an entry of
``index.json`` as it is written, so ``app:1`` and ``latest`` become images that no pod finds; here every entry gets the
CRI's spelling.
"""

from __future__ import annotations

from typing import Any

from rke2.errors import ContentError
from rke2.registry.reference import ImageReference

FULL_NAME = "io.containerd.image.name"
"""The annotation of an index's entry that has the image's whole name."""

REF_NAME = "org.opencontainers.image.ref.name"
"""The one of the OCI's specification: a whole name (podman, skopeo), or a tag alone (buildah, skopeo, buildx)."""


def normalize(reference: str) -> str:
    """The one spelling that containerd's CRI looks an image up by: ``a`` → ``docker.io/library/a:latest``.

    ``index.docker.io`` is ``docker.io``, ``registry-1.docker.io`` is not; of tag and digest the digest remains.

    Raises:
        ContentError: it is not a valid reference.
    """
    return ImageReference.parse(reference).looked_up


def image_name(descriptor: dict[str, Any]) -> str:
    """The reference, as pods find it, of an entry of ``index.json``; empty if it has none."""
    try:
        return normalize(_written(descriptor))
    except ContentError:
        return ""


def why_nameless(descriptor: dict[str, Any]) -> str:
    """What is wrong with the entry's name, for a sentence that begins with the archive; empty if nothing is."""
    if image_name(descriptor):
        return ""
    entry = f"its entry {str(descriptor['digest'])[:19]}…"
    annotations = descriptor.get("annotations") or {}
    if not (words := annotations.get(FULL_NAME) or annotations.get(REF_NAME)):
        return f"{entry} has no name"
    if _is_tag(words):
        return f"{entry} has no name but the tag {words!r}"
    return f"{entry} is called {words!r}, which is not an image reference"


def named(descriptor: dict[str, Any]) -> dict[str, Any]:
    """The entry with its name as pods find it; `image_name` must have one."""
    annotations = {**(descriptor.get("annotations") or {}), FULL_NAME: image_name(descriptor)}
    return {**descriptor, "annotations": annotations}


def _written(descriptor: dict[str, Any]) -> str:
    annotations = descriptor.get("annotations") or {}
    if name := str(annotations.get(FULL_NAME) or ""):
        return name
    name = str(annotations.get(REF_NAME) or "")
    return "" if _is_tag(name) else name


def _is_tag(name: str) -> bool:
    """Whether a ``ref.name`` is a tag alone; containerd decides so, too."""
    return not any(mark in name for mark in "/:@")
