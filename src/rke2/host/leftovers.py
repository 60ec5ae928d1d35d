"""Processes that a killed rke2 left behind although the kernel was told to end them with it.

A child asks for that signal (PR_SET_PDEATHSIG) a moment after it was forked, and dies a moment after its parent
did. A start that comes in between finds containerd or the kubelet still there, holding sockets and databases.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

from rke2.errors import HostError

log = logging.getLogger(__name__)

_SECONDS = 10.0


def end_leftovers(programs: Iterable[Path], proc: Path = Path("/proc")) -> None:
    """Kill every process that runs one of these very files and wait until it is gone.

    Only for the holder of the data directory the files are in: nobody else can have started them.

    Raises:
        HostError: one does not end.
    """
    files = set(_identities(programs))
    for pid in (int(entry.name) for entry in proc.iterdir() if entry.name.isdigit()):
        if files & set(_identities([proc / str(pid) / "exe"])):
            _end(pid)


def _identities(files: Iterable[Path]) -> Iterator[tuple[int, int]]:
    """Device and inode: paths may mean other files in the mount namespaces of other processes."""
    for file in files:
        with contextlib.suppress(OSError):
            status = file.stat()
            yield status.st_dev, status.st_ino


def _end(pid: int) -> None:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        log.warning("ending process %d, which an earlier rke2 left behind", pid)
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(fd, signal.SIGKILL)
        if not select.select([fd], [], [], _SECONDS)[0]:
            raise HostError(f"process {pid} of an earlier rke2 does not end", "look for hung mounts in dmesg")
    finally:
        os.close(fd)
