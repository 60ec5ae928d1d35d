"""Files laid out in a directory, as tools that make packages want them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from distribution.builder.tarstream import EPOCH
from distribution.packages.layout import File


def stage(files: Iterable[File], directory: Path) -> None:
    """Write `files` below `directory`, which is new, with modes and times that do not depend on who does it."""
    directory.mkdir(parents=True)
    for file in files:
        write(directory / file.path, file.content, file.mode)
    settle(directory)


def write(target: Path, content: bytes, mode: int) -> None:
    """Write one file, whatever the umask is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    target.chmod(mode)


def settle(directory: Path) -> None:
    """The same time for everything, and the usual mode for directories."""
    for path in (directory, *directory.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
        os.utime(path, (EPOCH, EPOCH))
