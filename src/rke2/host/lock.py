"""One rke2 per data directory, enforced by a lock the kernel releases when the process dies.

An open-file-description lock (fcntl(2)), because it can be asked for without being taken: whoever only wants to
know who holds it never gets in the way of a start.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rke2.errors import AlreadyRunningError, HostError
from rke2.host.files import ensure_dir

_FLOCK = struct.Struct("hhqqi4x")
"""``struct flock`` of 64-bit Linux: type, whence, start, length (0: all), pid (0 for this kind of lock)."""

_PID_WIDTH = 20
"""The pid is written over the one before it: on a full disk a file can be changed, but none can grow."""


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path` for the duration of the block; it keeps the holder's pid.

    Raises:
        AlreadyRunningError: another live process holds it; names that process.
        HostError: the directory of `path` cannot be written.
    """
    fd = _open(path)
    try:
        if not _lock(fd):
            raise AlreadyRunningError(
                f"another rke2 (pid {_read_pid(fd) or 'unknown'}) is using the data directory {path.parent}",
                "stop it first, or give this one another --data-dir",
            )
        _write_pid(fd, path)
        yield
    finally:
        os.close(fd)


def holder(path: Path) -> int | None:
    """The pid of the live process that holds the lock `path`, or None if nobody does."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        question = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, question)
        return None if _FLOCK.unpack(answer)[0] == fcntl.F_UNLCK else _read_pid(fd)
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    try:
        ensure_dir(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise HostError.of(error, f"the data directory {path.parent} cannot be used") from error


def _lock(fd: int) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except BlockingIOError:
        return False
    return True


def _read_pid(fd: int) -> int | None:
    text = os.pread(fd, _PID_WIDTH, 0).strip()
    return int(text) if text.isdigit() else None


def _write_pid(fd: int, path: Path) -> None:
    try:
        os.pwrite(fd, f"{os.getpid()}\n".rjust(_PID_WIDTH).encode(), 0)
    except OSError as error:
        raise HostError.of(error, f"the data directory {path.parent} cannot be used") from error
