"""The manifests directory: which files there are, and which of them are disabled or skipped.

Root ``<data-dir>/server/manifests``, recursive; links to directories are followed one level.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from rke2.addons.names import plain_name

EXTENSIONS = frozenset({".yaml", ".yml", ".json"})
SKIP_SUFFIX = ".skip"


@dataclass(frozen=True)
class ManifestFile:
    """A file below the root.

    Args:
        relative: path below the root.
        mtime_ns: modification time; a different one means that the file is read again.
        linked: reached through a linked directory (never deleted).
    """

    path: Path
    relative: Path
    mtime_ns: int
    linked: bool = False

    @property
    def is_manifest(self) -> bool:
        return self.path.suffix.lower() in EXTENSIONS


@dataclass(frozen=True)
class Listing:
    """One look at the manifests directory: files in lexical order of their paths, and all directories."""

    files: tuple[ManifestFile, ...]
    directories: tuple[Path, ...]

    def disabled(self, names: Collection[str], packaged: Collection[str] = ()) -> list[ManifestFile]:
        """Files to be deleted with what they applied; disabling beats skipping."""
        return [file for file in self.files if is_disabled(file, names, packaged)]

    def manifests(self, names: Collection[str] = (), packaged: Collection[str] = ()) -> list[ManifestFile]:
        """Manifests that stand for objects in the cluster, also those held back with ``.skip``.

        A file that is reached on several paths, through links, is one: by the path without links if there is one.
        """
        found: dict[str, ManifestFile] = {}
        for file in sorted(self.files, key=lambda file: file.linked or file.path.is_symlink()):
            if (
                file.is_manifest
                and not file.path.name.startswith(".")
                and not is_disabled(file, names, packaged)
            ):
                found.setdefault(os.path.realpath(file.path), file)
        return sorted(found.values(), key=lambda file: str(file.path))

    def wanted(self, names: Collection[str], packaged: Collection[str] = ()) -> list[ManifestFile]:
        """Manifests to be applied: those without a ``.skip`` file beside them (RKE2: anywhere)."""
        paths = {file.path for file in self.files}
        return [
            file
            for file in self.manifests(names, packaged)
            if file.path.with_name(file.path.name + SKIP_SUFFIX) not in paths
        ]

    def lacks(self, source: Path) -> bool:
        """Whether a manifest that was at `source` has been removed.

        Not if a ``.skip`` file of its name holds it back, nor if it cannot be told: a link that leads nowhere, a
        directory that was not looked into.
        """
        stays = any(
            plain_name(file.path) == plain_name(source)
            for file in self.files
            if file.path.name.endswith(SKIP_SUFFIX)
        )
        remains = next(path for path in (source, *source.parents) if os.path.lexists(path))
        return not stays and remains in self.directories


def is_disabled(file: ManifestFile, names: Collection[str], packaged: Collection[str] = ()) -> bool:
    """Whether a leading directory of the file (any type), or a manifest's name without extension, is in `names`.

    The name of a packaged manifest means that one alone (RKE2: also a user's file of that name in a directory).

    Args:
        packaged: names of the manifests that belong to this release, which are in the root.
    """
    parents = [str(parent) for parent in file.relative.parents if parent != Path()]
    if any(parent in names for parent in parents):
        return True
    elsewhere = bool(parents) and file.path.stem in {Path(name).stem for name in packaged}
    return file.is_manifest and file.path.stem in names and not elsewhere


def list_manifests(root: Path) -> Listing:
    """Look at the directory.

    Raises:
        OSError: the root is missing or a directory below it is not readable.
    """
    directories: list[Path] = []
    files = sorted(_walk(root, root, False, directories), key=lambda file: str(file.path))
    return Listing(tuple(files), tuple(directories))


def _walk(root: Path, directory: Path, linked: bool, seen: list[Path]) -> Iterator[ManifestFile]:
    seen.append(directory)
    with os.scandir(directory) as entries:
        for entry in entries:
            path = Path(entry.path)
            try:
                is_link, is_dir = entry.is_symlink(), entry.is_dir()
                mtime_ns = entry.stat().st_mtime_ns
            except FileNotFoundError:
                continue  # removed meanwhile, or a dangling link
            if not is_dir:
                yield ManifestFile(path, path.relative_to(root), mtime_ns, linked)
            elif not (is_link and linked):
                yield from _walk(root, path, linked or is_link, seen)
