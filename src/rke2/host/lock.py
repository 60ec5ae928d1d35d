"""One rke2 per data directory, enforced by a lock the kernel releases when the process dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rke2.errors import AlreadyRunningError
from rke2.host.files import ensure_dir


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path` for the duration of the block; it keeps the holder's pid.

    Raises:
        AlreadyRunningError: another live process holds it; names that process.
    """
    ensure_dir(path.parent)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
            raise AlreadyRunningError(
                f"another rke2 (pid {holder}) is using the data directory {path.parent}",
                "stop it first, or give this one another --data-dir",
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


def holder(path: Path) -> int | None:
    """The pid of the live process that holds the lock `path`, or None if nobody does."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.pread(fd, 32, 0).strip() or 0) or None
    else:
        return None
    finally:
        os.close(fd)
