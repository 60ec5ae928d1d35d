"""Content keys: a short hash of everything that decides what a build gives."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

_LENGTH = 16


def of(*parts: str | bytes) -> str:
    """The key of these inputs; order matters, boundaries too."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()[:_LENGTH]


def of_tree(root: Path, files: Iterable[Path] | None = None) -> str:
    """The key of the files under `root`: names, contents, and whether they are executable."""
    return of(*_parts(root, sorted(source_files(root) if files is None else files)))


def source_files(root: Path) -> Iterator[Path]:
    """Files that can take part in a build: no tests, no caches, nothing hidden."""
    for path in root.rglob("*"):
        relative = path.relative_to(root).parts
        if path.is_file() and not any(_ignored(part) for part in relative):
            yield path


def _ignored(part: str) -> bool:
    return part.startswith(".") or part in ("__pycache__", "testdata") or part.endswith(("_test.go", ".md"))


def _parts(root: Path, files: list[Path]) -> Iterator[str | bytes]:
    for path in files:
        yield path.relative_to(root).as_posix()
        yield "x" if path.stat().st_mode & 0o100 else "-"
        yield path.read_bytes()
