"""Lets a program run from wherever it is unpacked: room for the name of its loader, and where it looks for libraries.

Both are strings for which the linker left no room. They get a segment of their own, behind everything else::

    the names that the dynamic section has (libraries, symbols), then ``$ORIGIN/../lib``
    the loader's name, which the entry program fills in

Nothing that the linker laid out moves. patchelf moves the beginning of a program with fixed addresses, as Debian's
Python is one, and some of its versions (0.17, and 0.18 of Debian 13) put the dynamic section below a segment that
cannot be written: the loader writes there, and ends with a segmentation fault.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from distribution.builder.errors import BuildError

LOADER_MARK = "/where-rke2-is-unpacked"
LOADER_SPACE = 1000
"""Both as distribution/components/onefile/payload.go has them: it writes the loader's path over the mark."""

_LIBRARIES = b"$ORIGIN/../lib\0"

# Kinds of segments, a permission, and tags of the dynamic section: PT_, PF_ and DT_ of elf.h.
_LOAD, _DYNAMIC, _INTERPRETER, _NOTE = 1, 2, 3, 4
_READ = 4
_END, _STRINGS, _STRINGS_SIZE, _RPATH, _RUNPATH = 0, 5, 10, 15, 29

_PAGE = 4096
_HEADERS = struct.Struct("<32xQ14xHH")
"""In the header of a 64-bit file: where the headers of segments begin, the size of one, their number."""
_SEGMENT = struct.Struct("<IIQQQQQQ")
_ENTRY = struct.Struct("<qQ")


@dataclass(frozen=True)
class Segment:
    """The header of a segment, its fields in the order of the file."""

    kind: int
    flags: int
    offset: int
    address: int
    physical: int
    size: int
    memory: int
    align: int

    def at(self, offset: int, address: int, size: int) -> Segment:
        """The same segment in another place."""
        return replace(self, offset=offset, address=address, physical=address, size=size, memory=size)

    def of(self, content: bytes) -> bytes:
        """Its bytes in the file `content`."""
        return content[self.offset : self.offset + self.size]

    def packed(self) -> bytes:
        """As it is in the file."""
        return _SEGMENT.pack(
            *(self.kind, self.flags, self.offset, self.address),
            *(self.physical, self.size, self.memory, self.align),
        )


def make_movable(program: Path) -> None:
    """Let `program` have a loader whose place is told later, and look for libraries in ``../lib``, nowhere before.

    By ``RPATH``: it comes before ``LD_LIBRARY_PATH``, and holds for what is loaded by libraries in turn.

    Raises:
        BuildError: the linker left no header or no entry that could be used.
    """
    try:
        program.write_bytes(_movable(program.read_bytes()))
    except LookupError as error:
        raise BuildError("onefile", f"{program.name} cannot be made movable: it has {error}") from error


def segments(content: bytes) -> list[Segment]:
    """What the ELF file `content` is loaded from."""
    start, size, number = _HEADERS.unpack_from(content)
    return [Segment(*_SEGMENT.unpack_from(content, start + size * place)) for place in range(number)]


def _movable(content: bytes) -> bytes:
    found = segments(content)
    dynamic = _first(found, _DYNAMIC, "no dynamic section")
    strings = _strings(content, found, dynamic)
    offset = _page_after(len(content))
    address = _page_after(max(segment.address + segment.memory for segment in found if segment.kind == _LOAD))
    names = strings + _LIBRARIES
    added = {_STRINGS: address, _STRINGS_SIZE: len(names), _RPATH: len(strings)}
    result = bytearray(content.ljust(offset, b"\0") + names + _loader_space())
    _put(result, dynamic.offset, _dynamic_with(added, dynamic.of(content)))
    headers = _with_names(found, offset, address, len(names))
    _put(result, _HEADERS.unpack_from(content)[0], b"".join(segment.packed() for segment in headers))
    return bytes(result)


def _strings(content: bytes, found: Sequence[Segment], dynamic: Segment) -> bytes:
    """The names that the dynamic section has."""
    told = dict(_ENTRY.iter_unpack(dynamic.of(content)))
    address, size = told[_STRINGS], told[_STRINGS_SIZE]
    inside = next(part for part in found if part.kind == _LOAD and 0 <= address - part.address < part.size)
    start = inside.offset + address - inside.address
    return content[start : start + size]


def _dynamic_with(added: dict[int, int], section: bytes) -> bytes:
    """The entries of `section` and those of `added`; as long as before."""
    entries = [*_ENTRY.iter_unpack(section)]
    used = entries[: next(place for place, (tag, _) in enumerate(entries) if tag == _END)]
    kept = [(tag, value) for tag, value in used if tag not in {*added, _RUNPATH}]
    packed = b"".join(_ENTRY.pack(*entry) for entry in [*kept, *added.items(), (_END, 0)])
    if len(packed) > len(section):
        raise LookupError("no spare entry in its dynamic section")
    return packed.ljust(len(section), b"\0")


def _with_names(found: Sequence[Segment], offset: int, address: int, names: int) -> list[Segment]:
    """`found`, with the segment of the names in place of a note."""
    interpreter = _first(found, _INTERPRETER, "no loader")
    # Of the first one, the processor's properties, there is a second header (PT_GNU_PROPERTY), which loaders prefer.
    note = _first(found, _NOTE, "no note, whose header could be taken")
    moved = interpreter.at(offset + names, address + names, LOADER_SPACE)
    kept = [moved if segment is interpreter else segment for segment in found if segment is not note]
    # The kernel and the loader need what is loaded in the order of addresses.
    after = 1 + max(place for place, segment in enumerate(kept) if segment.kind == _LOAD)
    loaded = Segment(_LOAD, _READ, 0, 0, 0, 0, 0, _PAGE).at(offset, address, names + LOADER_SPACE)
    return [*kept[:after], loaded, *kept[after:]]


def _first(found: Sequence[Segment], kind: int, otherwise: str) -> Segment:
    for segment in found:
        if segment.kind == kind:
            return segment
    raise LookupError(otherwise)


def _loader_space() -> bytes:
    return LOADER_MARK.ljust(LOADER_SPACE - 1, "/").encode() + b"\0"


def _put(program: bytearray, offset: int, content: bytes) -> None:
    program[offset : offset + len(content)] = content


def _page_after(place: int) -> int:
    return -(-place // _PAGE) * _PAGE
