"""Log files of supervised processes.

The child writes straight into the file (opened for appending), so its output costs the supervisor nothing and
survives it. Rotation therefore copies and truncates instead of renaming: 50 MiB, 3 old files, gzip, like RKE2.
"""

from __future__ import annotations

import gzip
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rke2.host.files import ensure_dir

_LEAST, _LINE = 8192, 328
"""Bytes read for a tail at least, and for each line: enough for most lines of Go programs."""


@dataclass(frozen=True)
class LogFile:
    """A log file and how much of it is kept.

    Args:
        path: the live file; old ones are ``<path>.1.gz`` (newest) to ``<path>.<keep>.gz``.
        max_bytes: size from which it is rotated.
        keep: number of old files.
    """

    path: Path
    max_bytes: int = 50 * 1024 * 1024
    keep: int = 3

    def open(self) -> int:
        """A file descriptor for a child's output."""
        ensure_dir(self.path.parent, 0o750)
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)

    def rotate_if_large(self) -> bool:
        """Rotate if the file has reached `max_bytes`; True if it was rotated."""
        try:
            if self.path.stat().st_size < self.max_bytes:
                return False
        except FileNotFoundError:
            return False
        for number in range(self.keep - 1, 0, -1):
            older = self._old(number)
            if older.exists():
                older.replace(self._old(number + 1))
        with self.path.open("rb") as source:
            self._compress(source)
        os.truncate(self.path, 0)
        return True

    def tail(self, lines: int = 5) -> str:
        """The last `lines` lines, for error messages; empty if there are none."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - max(_LEAST, lines * _LINE)))
                return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def _compress(self, source: BinaryIO) -> None:
        """Copy to the newest old file, which nobody may read who may not read the log."""
        self._old(1).unlink(missing_ok=True)
        mode = os.fstat(source.fileno()).st_mode & 0o777
        fd = os.open(self._old(1), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(fd, "wb") as file, gzip.GzipFile("", "wb", 1, file) as target:
            shutil.copyfileobj(source, target, 1 << 20)

    def _old(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}.gz")
