"""The title of this process in ``ps`` and ``/proc/<pid>/cmdline``, which everybody on the machine can read."""

from __future__ import annotations

import ctypes
from pathlib import Path

_ARG_START, _ARG_END = 45, 46
"""Fields of ``/proc/<pid>/stat``, counted from the one that follows the name of the program."""


def set_title(title: str) -> None:
    """Show `title` in place of the command line, whose arguments may hold a token.

    RKE2 does the same. The title is cut to the length of the command line. Where the kernel does not tell where that
    lies, nothing is changed.
    """
    begin, end = _arguments()
    size = end - begin
    if begin <= 0 or size < 2:
        return
    # A last byte that is not NUL tells the kernel that this is a title, which ends at its first NUL (setproctitle(3)).
    text = title.encode()[: size - 2].ljust(size - 1, b"\0") + b" "
    ctypes.memmove(begin, text, size)


def _arguments() -> tuple[int, int]:
    """Where the command line lies in the memory of this process."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return int(fields[_ARG_START]), int(fields[_ARG_END])
