"""Makes machine code easier to compress: calls and jumps to one place become equal bytes.

x86 has the distance in them; here it is the place itself, as compressors of executables do it. A twentieth of the
file is saved. The entry program undoes it (``branches.go``).
"""

from __future__ import annotations

import re

_BRANCH = re.compile(rb"[\xe8\xe9]")
_LENGTH = 5
_NEAR = (0x00, 0xFF)
"""The highest byte of a distance below 16 MiB, forward and back. What is further is no branch, most often."""


def absolute(program: bytes) -> bytes:
    """`program` with places in branches.

    From the end to the beginning, since who undoes it goes the other way: each step then finds the bytes that the step
    it undoes has left, also where two of them overlap.
    """
    result = bytearray(program)
    found = [match.start() for match in _BRANCH.finditer(program, 0, max(0, len(program) - _LENGTH + 1))]
    for at in reversed(found):
        if result[at + 4] in _NEAR:
            result[at + 1 : at + _LENGTH] = _moved(result[at + 1 : at + _LENGTH], at)
    return bytes(result)


def _moved(distance: bytearray, by: int) -> bytes:
    """The sum, in 25 bits with a sign: so it is near again, and can be told from what is not."""
    value = (int.from_bytes(distance, "little", signed=True) + by) & 0x1FFFFFF
    return (value - ((value & 0x1000000) << 1)).to_bytes(4, "little", signed=True)
