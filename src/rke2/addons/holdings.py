"""Which Addons have their file in the manifests directory, and which files have been removed from it.

Upstream, deleting a manifest by hand leaves its Addon and its objects in the cluster. Here they go with the file,
because the directory is meant to say what is in the cluster. What keeps that from removing anything else:

- The directory has an identity, a random word in its file `IDENTITY_FILE`, and an Addon is annotated with the
  identities of all directories that hold its file. An empty directory in place of the real one (a disk that is
  not mounted, a server reinstalled under its old name) has another identity, so nothing is missing from it.
  Of several servers that hold the file, the last one to lose it removes what it applied.
- A file is only gone if the directory that held it can still be read, or was itself removed from one that can.
- It must stay gone for `GRACE_SECONDS`: some editors and tools remove a file before they write it again.
- Packaged manifests are put back at each start, and are removed with ``--disable``, as upstream.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Collection, Iterable
from pathlib import Path

from rke2.addons.manifests import Listing
from rke2.host.files import write_atomic
from rke2.kube.objects import Object, annotations_of, name_of

log = logging.getLogger(__name__)

IDENTITY_FILE = ".directory-id"
DIRECTORIES = "addon.rke2.io/directories"
"""Annotation of Addons: identities of the directories that hold the file, joined by commas."""
GRACE_SECONDS = 3.0


class Holdings:
    """The Addons whose file is in the directory `root`.

    Args:
        packaged: paths below `root` of files whose removal means nothing.
    """

    def __init__(self, root: Path, packaged: Collection[str] = ()) -> None:
        self._root, self._packaged = root, frozenset(packaged)
        self.identity = ""
        self._sources: dict[str, Path] = {}
        self._missing_since: dict[str, float] = {}

    def identify(self) -> bool:
        """Look which directory it is now.

        Returns:
            True if it is another one than before: `recall` has to be told of its Addons.
        """
        identity = _identity(self._root)
        if identity == self.identity:
            return False
        self.identity = identity
        self._sources.clear()
        self._missing_since.clear()
        return bool(identity)

    def recall(self, addons: Iterable[Object]) -> None:
        """Remember those of `addons` that are annotated with this directory."""
        for addon in addons:
            source = Path((addon.get("spec") or {}).get("source") or "/")
            if self.identity in directories_of(addon) and source.is_relative_to(self._root):
                self._sources.setdefault(name_of(addon), source)

    def add(self, name: str, source: Path) -> None:
        """Remember that the file of an Addon is in the directory."""
        if self.identity:
            self._sources[name] = source

    def drop(self, name: str) -> None:
        """Forget an Addon."""
        self._sources.pop(name, None)
        self._missing_since.pop(name, None)

    def with_this(self, addon: Object) -> str:
        """The annotation for an Addon whose file is here; that of the Addon if the directory has no identity."""
        return ",".join(sorted(directories_of(addon) | ({self.identity} - {""})))

    def without_this(self, addon: Object) -> str:
        """The annotation for an Addon whose file is here no longer; empty if it is nowhere else."""
        return ",".join(sorted(directories_of(addon) - {self.identity}))

    def gone(self, listing: Listing) -> dict[str, Path]:
        """Addons whose files are missing for good, and the files."""
        missing = {
            name: source
            for name, source in self._sources.items()
            if str(source.relative_to(self._root)) not in self._packaged and listing.lacks(source)
        }
        now = time.monotonic()
        self._missing_since = {name: self._missing_since.get(name, now) for name in missing}
        return {name: source for name, source in missing.items() if now >= self._gone_at(name)}

    @property
    def due(self) -> float:
        """When, on the monotonic clock, the next missing file is missing for good."""
        now = time.monotonic()
        waiting = (self._gone_at(name) for name in self._missing_since)
        return min((at for at in waiting if at > now), default=float("inf"))

    def _gone_at(self, name: str) -> float:
        return self._missing_since[name] + GRACE_SECONDS


def directories_of(addon: Object) -> set[str]:
    """Identities of the directories that hold the Addon's file."""
    return set(annotations_of(addon).get(DIRECTORIES, "").split(",")) - {""}


def _identity(root: Path) -> str:
    """The word in the directory's identity file, made if there is none; empty if that is impossible."""
    file = root / IDENTITY_FILE
    try:
        known = file.read_text().strip() if file.exists() else ""
        if not known:
            known = secrets.token_hex(8)
            write_atomic(file, known + "\n")
    except (OSError, UnicodeDecodeError) as error:
        log.warning("files removed from %s stay in the cluster: %s: %s", root, file.name, error)
        return ""
    return known
