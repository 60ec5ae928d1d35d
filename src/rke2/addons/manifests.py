"""The manifests directory: which files there are, and which of them are disabled or skipped.

Root ``<data-dir>/server/manifests``, recursive; links to directories are followed one level.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

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

    def disabled(self, names: Collection[str]) -> list[ManifestFile]:
        """Files to be deleted with what they applied; disabling beats skipping."""
        return [file for file in self.files if is_disabled(file, names)]

    def wanted(self, names: Collection[str]) -> list[ManifestFile]:
        """Manifests to be applied."""
        skipped = {file.path.name for file in self.files if file.path.name.endswith(SKIP_SUFFIX)}
        return [
            file
            for file in self.files
            if file.is_manifest
            and not is_disabled(file, names)
            and not file.path.name.startswith(".")
            and file.path.name + SKIP_SUFFIX not in skipped
        ]

    def lacks(self, source: Path) -> bool:
        """Whether a manifest that was at `source` has been removed.

        Not if another manifest or ``.skip`` file stands for the same Addon, nor if it cannot be told: a link that
        leads nowhere, a directory that was not looked into.
        """
        stays = any(
            addon_name(file.path) == addon_name(source)
            for file in self.files
            if file.is_manifest or file.path.name.endswith(SKIP_SUFFIX)
        )
        remains = next(path for path in (source, *source.parents) if os.path.lexists(path))
        return not stays and remains in self.directories


def is_disabled(file: ManifestFile, names: Collection[str]) -> bool:
    """Whether a leading directory of the file (any type), or a manifest's name without extension, is in `names`."""
    parents = [str(parent) for parent in file.relative.parents if parent != Path()]
    return any(parent in names for parent in parents) or (file.is_manifest and file.path.stem in names)


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


def addon_name(path: Path) -> str:
    """The Addon of a file: its name up to the first dot (two files may share one, and then fight)."""
    return path.name.split(".", 1)[0]
