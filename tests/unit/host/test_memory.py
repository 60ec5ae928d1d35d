"""What is freed comes back, and is kept in one place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rke2.host import memory
from rke2.host.memory import unchanged_mappings

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


FILES = """
import ctypes, mmap, sys, tempfile
from pathlib import Path
from rke2.host.memory import loaded_files, unmap_until_used

PAGES = 4096
SIZE = PAGES * mmap.PAGESIZE
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

def of_files():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssFile"))

with tempfile.NamedTemporaryFile(dir=".") as file:
    file.write(b"x" * SIZE)
    file.flush()
    number = file.fileno()
    code, tables = (libc.mmap(None, SIZE, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE, number, 0) for _ in "ab")
    ctypes.memset(tables, ord("y"), mmap.PAGESIZE)  # one page of them all is another one than the file's
    for each in (code, tables):
        libc.mprotect(each, SIZE, mmap.PROT_READ)
        ctypes.string_at(each, SIZE)
    loaded = loaded_files()
    before = of_files()
    unmap_until_used(loaded)
    print((before - of_files()) / SIZE)
    assert ctypes.string_at(code, SIZE) == b"x" * SIZE
    assert ctypes.string_at(tables, SIZE) == b"y" * mmap.PAGESIZE + b"x" * (SIZE - mmap.PAGESIZE)
    import decimal, sqlite3  # code that was unmapped loads more
"""


def test_code_is_unmapped_until_used_and_what_was_written_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FILES]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert float(result.stdout) > 0.9, "share of the mapping that is as it is in its file"


def test_only_private_unchanged_mappings_of_files_are_code() -> None:
    def mapping(line: str, written: int, swapped: int = 0) -> str:
        return (
            f"{line}\nSize: 8 kB\nAnonymous:      {written} kB\nSwap:           {swapped} kB\n"
            "SwapPss:        0 kB\nVmFlags: rd mr mw me ac sd\n"
        )

    text = "".join(
        (
            mapping("1000-2000 r--p 00000000 00:17 11 /lib/a.so", 0),
            mapping("2000-3000 r-xp 00001000 00:17 11 /lib/a.so", 0),
            mapping("3000-4000 r--p 00002000 00:17 11 /lib/a.so", 4),
            mapping("3800-4000 r--p 00003000 00:17 11 /lib/a.so", 0, swapped=4),
            mapping("4000-5000 rw-p 00003000 00:17 11 /lib/a.so", 0),
            mapping("5000-6000 r--s 00000000 00:17 12 /var/lib/db", 0),
            mapping("6000-7000 r-xp 00000000 00:00 0 [vdso]", 0),
            mapping("7000-8000 r--p 00000000 00:00 0", 0),
        )
    )
    assert list(unchanged_mappings(text)) == [(0x1000, 0x2000, "11"), (0x2000, 0x3000, "11")]


class EnoughLooks(Exception):
    pass


async def test_what_was_not_there_at_the_last_look_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [{1, 2}, {2, 3}, {2, 3, 4}]
    unmapped: list[frozenset[int]] = []

    def look() -> frozenset[int]:
        if not looks:
            raise EnoughLooks
        return frozenset(looks.pop(0))

    monkeypatch.setattr(memory, "SETTLED", 0.0)
    monkeypatch.setattr(memory, "REPEATED", 0.0)
    monkeypatch.setattr(memory, "loaded_files", look)
    monkeypatch.setattr(memory, "unmap_until_used", unmapped.append)
    with pytest.raises(EnoughLooks):
        await memory.keep_giving_back()
    assert unmapped == [{2}, {2, 3}]
