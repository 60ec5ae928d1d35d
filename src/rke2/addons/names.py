"""Which Addon a file has: the one that RKE2 gives it, or, where another file has that one, one of its own.

RKE2 names an Addon after the file up to the first dot. Files that are equal that far (``team-a/namespace.yaml`` and
``team-b/namespace.yaml``, ``storage.classes.yaml`` and ``storage.volumes.yaml``) share it there, and each deletes what
the other applied. Here a file is identified by its path below the manifests directory.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from pathlib import Path

from rke2.kube.objects import Object, annotations_of

PATH = "addon.rke2.io/path"
"""Annotation of Addons: path of the file below the manifests directory, the same on every server."""

_VALID = re.compile(r"[a-z0-9]([-a-z0-9]{0,251}[a-z0-9])?")
_PREFIX_LENGTH = 200


def plain_name(path: Path) -> str:
    """RKE2's name for the Addon of a file: the file's name up to the first dot."""
    return path.name.split(".", 1)[0]


def own_name(relative: Path) -> str:
    """A name that no other file has.

    Args:
        relative: path of the file below the manifests directory.
    """
    prefix = re.sub(r"[^a-z0-9]+", "-", plain_name(relative).lower())[:_PREFIX_LENGTH].strip("-")
    return f"{prefix or 'manifest'}-{hashlib.sha256(str(relative).encode()).hexdigest()[:10]}"


def has_plain_name(
    relative: Path,
    rivals: Collection[Path],
    packaged: Collection[str],
    holder: Path | None,
    *,
    elsewhere: bool = False,
) -> bool:
    """Whether a file without an Addon of its own gets the one that RKE2 names after it. Pure.

    Args:
        relative: path of the file below the manifests directory.
        rivals: such paths of the other files of that name in this directory.
        packaged: such paths of the release's own files, whose names are theirs also while they are not there.
        holder: such a path of the file that the Addon of that name is of; None if there is no such Addon.
        elsewhere: whether another server's directory holds that file.
    """
    name = plain_name(relative)
    if not _VALID.fullmatch(name):
        return False
    if name in map(plain_name, map(Path, packaged)):
        return str(relative) in packaged
    if holder == relative:
        return True
    if holder in rivals or (holder is not None and elsewhere):
        return False
    return relative == min((relative, *rivals), key=str)


def file_of(addon: Object, root: Path) -> Path | None:
    """Path below the manifests directory of the file an Addon is of; None if it does not say.

    The source comes first: servers of RKE2 and of earlier releases change it and leave the annotation. Below another
    data directory it counts from the directory of the same name as `root`.
    """
    source = Path((addon.get("spec") or {}).get("source") or "/")
    if source.is_relative_to(root):
        return source.relative_to(root)
    if path := annotations_of(addon).get(PATH):
        return Path(path)
    parts = source.parts
    if root.name in parts[:-1]:
        return Path(*parts[parts.index(root.name) + 1 :])
    return None
