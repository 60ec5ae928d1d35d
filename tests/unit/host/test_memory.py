"""What is freed comes back."""

from __future__ import annotations

import subprocess
import sys

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
