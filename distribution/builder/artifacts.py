"""The store of finished things: ``artifacts/<name>-<key>/``.

A directory in the store is complete: it is made elsewhere and moved in by one rename. Older results of the
same name are removed then, so the store does not grow with every change.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Store:
    """Artifacts under one directory."""

    root: Path

    def path(self, name: str, key: str) -> Path:
        """Where the artifact is, if it is there."""
        return self.root / f"{name}-{key}"

    def has(self, name: str, key: str) -> bool:
        """Whether it is finished and there."""
        return self.path(name, key).is_dir()

    @contextmanager
    def create(self, name: str, key: str) -> Iterator[Path]:
        """A directory to fill; it becomes the artifact when the block ends without an exception."""
        self.root.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=self.root))
        try:
            yield unfinished
            unfinished.chmod(0o755)
            self._replace(unfinished, name, key)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _replace(self, unfinished: Path, name: str, key: str) -> None:
        for old in self._of(name):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        unfinished.rename(self.path(name, key))

    def _of(self, name: str) -> list[Path]:
        """Artifacts of exactly this name and what is kept beside them: the key has no hyphen, names may."""
        return [path for path in self.root.glob(f"{name}-*") if path.name.rpartition("-")[0] == name]


@contextmanager
def exclusive(cache: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of `cache`: two builds at once would compile the same things and replace each other's.

    Args:
        on_wait: called when another build holds it, before waiting.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_json(path: Path, value: Any) -> None:
    """Write `value` so that equal values give equal bytes."""
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
