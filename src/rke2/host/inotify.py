"""Being told that a directory changed (inotify(7)), for asyncio.

A thin layer on the system calls: the standard library has none, and the libraries for it are threads or large.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from rke2.errors import HostError

IN_CLOSE_WRITE, IN_MOVED_FROM, IN_MOVED_TO = 0x8, 0x40, 0x80
IN_CREATE, IN_DELETE, IN_ONLYDIR = 0x100, 0x200, 0x1000000
CHANGES = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_ONLYDIR
_HEADER = struct.Struct("iIII")
_BUFFER = 1 << 16


class DirectoryWatch:
    """Tells when entries of the watched directories are written, made, moved or deleted.

    Not recursive: call `watch` with the directories that are there after each change.

    Raises:
        HostError: the kernel has no more inotify instances to give (``fs.inotify.max_user_instances``).
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise _error("inotify", "raise the sysctl fs.inotify.max_user_instances")
        self._watched: dict[int, Path] = {}
        self._changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._fd, self._read)

    def __enter__(self) -> DirectoryWatch:
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    def watch(self, directories: Iterable[Path]) -> bool:
        """Watch `directories` too; those watched already, and those that are gone, are ignored.

        Returns:
            True if a directory is newly watched: what happened in it before must be looked for.

        Raises:
            HostError: the kernel allows no more watches (``fs.inotify.max_user_watches``).
        """
        before = len(self._watched)
        for directory in set(directories) - set(self._watched.values()):
            descriptor = self._libc.inotify_add_watch(self._fd, os.fsencode(directory), CHANGES)
            if descriptor >= 0:
                self._watched[descriptor] = directory
            elif ctypes.get_errno() not in (2, 20):  # ENOENT, ENOTDIR
                raise _error(f"inotify on {directory}", "raise the sysctl fs.inotify.max_user_watches")
        return len(self._watched) > before

    async def changed(self) -> None:
        """Wait for a change that happened since the last call."""
        await self._changed.wait()
        self._changed.clear()

    def _read(self) -> None:
        try:
            events = os.read(self._fd, _BUFFER)
        except BlockingIOError:
            return
        offset = 0
        while offset < len(events):
            descriptor, mask, _cookie, length = _HEADER.unpack_from(events, offset)
            offset += _HEADER.size + length
            if mask & 0x8000:  # IN_IGNORED: the directory is gone
                self._watched.pop(descriptor, None)
        self._changed.set()


def _error(what: str, remedy: str) -> HostError:
    return HostError(f"{what}: {os.strerror(ctypes.get_errno())}", remedy)
