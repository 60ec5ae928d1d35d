"""Makes machine code easier to compress: what refers to one place becomes equal bytes.

x86 has the distance in calls, jumps and in what reads or writes data beside the code; here it is the place itself, as
compressors of executables do it. A tenth of the code is saved. The entry program undoes it (``branches.go``).

Jumps with a condition stay as they are: theirs are within a function, where equal distances are more frequent than
equal places.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

MEMORY = bytes.fromhex("03 0b 13 1b 23 2b 33 3b  38 39 3a 63 84 85 88 89 8a 8b 8d")
"""Operations between a register and memory: arithmetic, comparison, ``mov``, ``lea``."""

MEMORY_AFTER_PREFIX = bytes.fromhex("10 11 12 16 28 29 54 57 58 59 5c 5e 6f 7f  b6 b7 be bf d4 ef fe")
"""The same behind ``0f``, which is not looked at: ``movzx``, and those with vectors."""

_BESIDE_CODE = bytes(range(0x05, 0x40, 8))
"""The second byte of an operation whose memory is told by a distance: ``mod`` 0, ``r/m`` 5, with any register."""

_BRANCH = re.compile(
    rb"(?=([\xe8\xe9]|\xff[\x15\x25]|[%b][%b]))"
    % (re.escape(MEMORY + MEMORY_AFTER_PREFIX), re.escape(_BESIDE_CODE))
)
"""What a distance follows; looked for at each byte, since nothing says where an instruction begins."""

_LENGTH = 4
_NEAR = (0x00, 0xFF)
"""The highest byte of a distance below 16 MiB, forward and back. What is further is none, most often."""

_SECTIONS = struct.Struct("<40xQ10xHH")
"""In the header of an ELF file: where the headers of sections begin, the size of one, their number."""
_SECTION = struct.Struct("<4xIQ8xQQ")
"""Of such a header: type, flags, offset, size."""
_IN_FILE, _EXECUTABLE = 1, 4


def absolute(program: bytes) -> bytes:
    """`program`, an ELF file, with places in its code.

    From the end to the beginning, since who undoes it goes the other way: each step then finds the bytes that the step
    it undoes has left, also where two of them overlap.
    """
    result = bytearray(program)
    for begin, end in code(program):
        found = [match.end(1) for match in _BRANCH.finditer(program, begin, end)]
        for at in reversed(found):
            if at + _LENGTH <= end and result[at + _LENGTH - 1] in _NEAR:
                result[at : at + _LENGTH] = _moved(result[at : at + _LENGTH], at)
    return bytes(result)


def code(program: bytes) -> Iterator[tuple[int, int]]:
    """Where the parts of `program` with machine code begin and end: tables have bytes that only look like it."""
    start, size, number = _SECTIONS.unpack_from(program)
    for place in range(number):
        kind, flags, offset, length = _SECTION.unpack_from(program, start + size * place)
        if kind == _IN_FILE and flags & _EXECUTABLE:
            yield offset, offset + length


def _moved(distance: bytearray, by: int) -> bytes:
    """The sum, in 25 bits with a sign: so it is near again, and can be told from what is not."""
    value = (int.from_bytes(distance, "little", signed=True) + by) & 0x1FFFFFF
    return (value - ((value & 0x1000000) << 1)).to_bytes(4, "little", signed=True)
