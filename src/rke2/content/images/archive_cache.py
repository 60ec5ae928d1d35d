"""Which images the archives of a directory hold, remembered, so that those that did not change need not be opened.

``.archives.json`` is ours. RKE2 keeps ``.cache.json``, where an administrator made that file: for each archive its
size, modification time and images. It is read, so that a node that was RKE2's imports nothing again, and left as it is,
so that it is good when RKE2 takes the node back. Earlier releases of ours used RKE2's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from rke2.content.images.names import normalize
from rke2.content.runtime.image import archives_in
from rke2.errors import ContentError
from rke2.host.files import write_atomic

CACHE_FILE = ".archives.json"
RKE2S_FILE = ".cache.json"


class FileIdentity(msgspec.Struct, frozen=True):
    """What tells whether a file is the one it was. The change time cannot be set, so a file that was replaced or
    written to differs even if it was given its old size and modification time.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> FileIdentity:
        """The file at `path`, without opening it."""
        stat = path.stat()
        return cls(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)


class CachedArchive(msgspec.Struct, frozen=True):
    """The images of an archive by reference, with the digest each has in containerd (empty if not known)."""

    identity: FileIdentity
    images: dict[str, str]


class _RKE2sArchive(msgspec.Struct, frozen=True, rename="camel"):
    """An archive in RKE2's file, under its full path."""

    size: int
    mod_time: str
    images: list[str]

    def is_of(self, archive: Path) -> bool:
        """Whether the file is still the one that RKE2 imported, by what RKE2 goes by; it may note whole seconds."""
        try:
            stat, noted = archive.stat(), datetime.fromisoformat(self.mod_time).timestamp()
        except (OSError, ValueError):
            return False
        modified = stat.st_mtime if noted % 1 else int(stat.st_mtime)
        return stat.st_size == self.size and abs(modified - noted) < 0.001


class ArchiveCache:
    """What is remembered of the archives in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, held: Mapping[str, str]) -> dict[str, CachedArchive]:
        """The archives that are known, by file name; entries of files that changed may be among them.

        Args:
            held: the digests of the images that containerd holds with all of their content. RKE2 notes none: its word
                counts for an archive all of whose images are there.
        """
        self._take_over_old()
        return {**self._rke2s(held), **self._ours()}

    def remember(self, archive: Path, images: dict[str, str]) -> None:
        """Remember the images of an archive as it is now, and forget archives that are gone.

        Raises:
            OSError: the directory is not writable.
        """
        cache = {**self._ours(), archive.name: CachedArchive(FileIdentity.of(archive), images)}
        present = {path.name for path in archives_in(self._directory)}
        kept = {name: entry for name, entry in cache.items() if name in present}
        write_atomic(self._directory / CACHE_FILE, msgspec.json.encode(kept), 0o644)

    def _ours(self, name: str = CACHE_FILE) -> dict[str, CachedArchive]:
        try:
            return msgspec.json.decode((self._directory / name).read_bytes(), type=dict[str, CachedArchive])
        except (OSError, msgspec.DecodeError, msgspec.ValidationError):
            return {}

    def _rke2s(self, held: Mapping[str, str]) -> dict[str, CachedArchive]:
        try:
            noted = msgspec.json.decode(
                (self._directory / RKE2S_FILE).read_bytes(), type=dict[str, _RKE2sArchive]
            )
        except (OSError, msgspec.DecodeError, msgspec.ValidationError):
            return {}
        found = {}
        for archive in archives_in(self._directory):
            entry = noted.get(str(archive))
            if entry and entry.is_of(archive) and (images := _digests(entry.images, held)):
                found[archive.name] = CachedArchive(FileIdentity.of(archive), images)
        return found

    def _take_over_old(self) -> None:
        """Move the file of an earlier release out of RKE2's place, where RKE2 could not read it."""
        if self._ours(RKE2S_FILE):
            (self._directory / RKE2S_FILE).rename(self._directory / CACHE_FILE)


def _digests(names: list[str], held: Mapping[str, str]) -> dict[str, str]:
    """The digests of all images of an archive; nothing if one of them is not there."""
    try:
        found = {name: held.get(name, "") for name in map(normalize, names)}
    except ContentError:
        return {}
    return found if all(found.values()) else {}
