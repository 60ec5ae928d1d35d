"""Memory that was freed, given back to the kernel."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Return the pages that hold nothing any more; for after work that needed much for a moment.

    glibc keeps one arena per thread that allocated, and gives back only what is free at an arena's end. A C library
    without ``malloc_trim`` is left to itself.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
