"""Memory that was freed, or is used no longer, given back to the kernel."""

from __future__ import annotations

import asyncio
import ctypes
import re
from collections.abc import Iterator
from pathlib import Path

# Of glibc's malloc.h, and of Linux' mman-common.h.
_M_ARENA_MAX = -8
_MADV_DONTNEED = 4

_LOADED = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r-[x-]p [0-9a-f]+ \S+ (\d+)")
"""The first line of a mapping in ``smaps`` that is private, cannot be written, and may be of a file: its inode."""
_WRITTEN = re.compile(r"(?:Anonymous|Swap): +[1-9]")
"""It has pages that only this process has. Those that were swapped out are not counted as anonymous any more."""

_LAST = "VmFlags:"
"""The last line of each mapping."""

SETTLED, REPEATED = 60.0, 600.0
"""Seconds after the boot in which what it has started settles, and then between two looks of `keep_giving_back`."""

Mapping = tuple[int, int, str]
"""Start, end, and inode of the file."""


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


async def keep_giving_back() -> None:
    """Give back what the boot has left when that has settled, and from then on now and then; never returns."""
    before, pause = await asyncio.to_thread(loaded_files), SETTLED
    while True:
        await asyncio.sleep(pause)
        before, pause = await asyncio.to_thread(_rest, before), REPEATED


def _rest(before: frozenset[Mapping]) -> frozenset[Mapping]:
    give_back()
    now = loaded_files()
    unmap_until_used(now & before)
    return now


def loaded_files() -> frozenset[Mapping]:
    """Code and constants of this process: its mappings of files that are, page by page, as they are in the file."""
    return frozenset(unchanged_mappings(Path("/proc/self/smaps").read_text()))


def unchanged_mappings(smaps: str) -> Iterator[Mapping]:
    """The private mappings that cannot be written, and of which no page was.

    Args:
        smaps: text of ``/proc/<pid>/smaps``.
    """
    mapping = None
    for line in smaps.splitlines():
        if "-" in line.partition(" ")[0]:
            found = _LOADED.match(line)
            mapping = found if found and found[3] != "0" else None
        # A page that was written before its mapping was protected, as those of the linker's tables are, is a copy
        # that only this process has.
        elif mapping and _WRITTEN.match(line):
            mapping = None
        elif mapping and line.startswith(_LAST):
            yield int(mapping[1], 16), int(mapping[2], 16), mapping[3]


def unmap_until_used(mappings: frozenset[Mapping]) -> None:
    """Unmap the pages of `mappings`: those that are used again come back from the page cache, one fault for sixteen.

    Until then the kernel can take them for something else without asking this process, of which most of what was
    needed to load and start it is not used again.

    Args:
        mappings: found by two looks that are far apart. While a library is being loaded, its mappings look unchanged
            before the linker has written its tables; dropped after that, those tables would be lost.
    """
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for start, end, _ in mappings:
        # Whatever it answers: what is locked into memory stays, and nothing is lost by that.
        madvise(start, end - start, _MADV_DONTNEED)
