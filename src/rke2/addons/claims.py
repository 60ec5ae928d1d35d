"""Which objects the files of the manifests directory want: what one file no longer wants, another may.

An object is only pruned from the set of a file if no other file holds it. That keeps objects that move from one file
to another, and those of files that shared an Addon under RKE2 or an earlier release, whose set holds the objects of
all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rke2.addons.manifests import ManifestFile
from rke2.addons.names import plain_name
from rke2.kube.documents import ManifestError, load_manifest
from rke2.kube.objects import GVK, Key, Object, key_of

Claim = tuple[str, str, str, str]
"""Group, kind, namespace and name: an object is the same in every version of its API."""


@dataclass
class _Known:
    mtime_ns: int
    claims: frozenset[Claim] | None


class DeployClaims:
    """What the files want, read again when they change."""

    def __init__(self) -> None:
        self._known: dict[Path, _Known] = {}

    def look(self, files: Iterable[ManifestFile]) -> None:
        """Take note of all files that stand for objects, those that are skipped too.

        One that cannot be read keeps what it was last seen to want.
        """
        before, self._known = self._known, {}
        for file in files:
            known = before.get(file.path)
            if known is None or file.mtime_ns in (0, -1) or known.mtime_ns != file.mtime_ns:
                earlier = known.claims if known else None
                claims = _claims_in(file.path)
                known = _Known(file.mtime_ns, earlier if claims is None else claims)
            self._known[file.path] = known

    def of_others(self, path: Path, gvk: GVK, key: Key) -> list[Path]:
        """The other files that want an object, or may: of one that never could be read nobody knows.

        Args:
            path: of the file that does not.
        """
        claim = (gvk.group, gvk.kind, *key)
        return [
            other
            for other, known in self._known.items()
            if other != path and _may_want(other, known, path, claim)
        ]


def _may_want(other: Path, known: _Known, path: Path, claim: Claim) -> bool:
    if known.claims is None:
        return plain_name(other) == plain_name(path)
    return claim in known.claims


def _claims_in(path: Path) -> frozenset[Claim] | None:
    """What the file wants; None if that cannot be read."""
    try:
        return claims_of(load_manifest(path.read_bytes()))
    except (OSError, ManifestError):
        return None


def claims_of(objects: Sequence[Object]) -> frozenset[Claim]:
    """What `objects` claim; as it is not known here which kinds have namespaces, with and without one."""
    found: set[Claim] = set()
    for obj in objects:
        gvk, key = GVK.of(obj), key_of(obj)
        found |= {(gvk.group, gvk.kind, space, key.name) for space in (key.namespace or "default", "")}
    return frozenset(found)
