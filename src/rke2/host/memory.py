"""Memory that was freed, given back to the kernel."""

from __future__ import annotations

import ctypes

# Of glibc's malloc.h.
_M_ARENA_MAX = -8


def share_one_arena() -> None:
    """Let all threads take memory from one place; before there are threads.

    glibc makes an arena for each thread that allocates, and what they leave behind in each is not used by the others.
    A C library without ``mallopt`` is left to itself.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Return the pages that hold nothing any more; for after work that needed much for a moment.

    glibc gives back only what is free at an arena's end. A C library without ``malloc_trim`` is left to itself.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
