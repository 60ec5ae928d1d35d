"""What is freed comes back, and is kept in one place."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes
from pathlib import Path
from rke2.host.memory import give_back

PIECE, PIECES = 4096, 8192  # below the size that is a mapping of its own

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
pieces = [libc.malloc(PIECE) for _ in range(PIECES)]
for piece in pieces:
    ctypes.memset(piece, 1, PIECE)
for piece in pieces[:-1]:  # the last one keeps the arena from shrinking
    libc.free(piece)
before = resident()
give_back()
print((before - resident()) / (PIECE * PIECES))
"""


def test_freed_memory_returns_to_the_kernel() -> None:
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert float(result.stdout) > 0.9, "share of what was freed"


ARENAS = """
import ctypes, sys, threading
from rke2.host.memory import share_one_arena

THREADS = 8
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
if sys.argv[1] == "one":
    share_one_arena()
together = threading.Barrier(THREADS)

def allocate():
    together.wait()
    for _ in range(1000):
        libc.malloc(100)

threads = [threading.Thread(target=allocate) for _ in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
output = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, output)
libc.fflush(output)
"""


@pytest.mark.parametrize(("arenas", "one"), [("one", True), ("many", False)])
def test_threads_share_an_arena(arenas: str, one: bool) -> None:
    command = [sys.executable, "-c", ARENAS, arenas]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (result.stdout.count("<heap nr=") == 1) is one
