"""What a program says of itself: is it Go's, is it static, is its cryptography BoringCrypto's.

The build information that the Go linker leaves in every program (Go 1.18 and later) is a header of 32 bytes, then
two strings with their length in front as a varint: the Go version, and a text of tab-separated records between two
marks of 16 bytes.

The experiment ``boringcrypto`` alone proves nothing: without cgo Go falls back to its own cryptography silently. What
proves it are names in Go's function table, which stripping leaves.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

EXPERIMENT = "boringcrypto"

_MAGIC = b"\xff Go buildinf:"
_INLINE_STRINGS = 0x2
_HEADER, _MARK = 32, 16
_FUNCTION_TABLE = b"\0.gopclntab\0"
"""The name of the section that every Go program has, in its table of section names."""

_ELF = b"\x7fELF"
_ELF64_LITTLE_ENDIAN = _ELF + b"\x02\x01"
_PROGRAM_HEADERS = struct.Struct("<32xQ14xHH")
_PT_DYNAMIC, _PT_INTERP = 2, 3

_CRYPTOGRAPHY = b"crypto/internal/"
_BORING = {
    b"crypto/internal/boring/sig.BoringCrypto": "Go's BoringCrypto marker function is missing",
    b"_Cfunc__goboringcrypto_": "calls into the BoringCrypto module are missing",
    b"/boringssl/crypto/fipsmodule/": "the BoringCrypto module is missing",
}

_OF_A_DIRECTORY = ("", "(devel)")


@dataclass(frozen=True)
class GoProgram:
    """A program's build information.

    Attributes:
        version: of the toolchain, such as ``go1.26.8-X:boringcrypto``.
        modules: module path -> version, the main module among them; a replaced one has the version of what replaces
            it, or keeps its own where that is a directory, whose version Go gives as ``(devel)`` or not at all.
        settings: of the build, such as ``GOEXPERIMENT``.
    """

    version: str
    modules: dict[str, str]
    settings: dict[str, str]


def is_elf(data: bytes) -> bool:
    """Whether `data` begins like a program or library of Linux."""
    return data.startswith(_ELF)


def is_go(data: bytes) -> bool:
    """Whether Go made the program `data`."""
    return is_elf(data) and (_MAGIC in data or _FUNCTION_TABLE in data)


def why_not_fips(data: bytes) -> str:
    """Why the Go program `data` is no static program with BoringCrypto; empty if it is.

    A program without any cryptography has only to be static and built for it.
    """
    segments = segment_types(data)
    if _PT_INTERP in segments or _PT_DYNAMIC in segments:
        return "not static"
    program = read(data)
    if program is None:
        return "no Go build information"
    if f"X:{EXPERIMENT}" not in program.version or program.settings.get("GOEXPERIMENT") != EXPERIMENT:
        return f"built by {program.version} without the Go experiment {EXPERIMENT}"
    missing = [meaning for marker, meaning in _BORING.items() if marker not in data]
    return missing[0] if missing and _CRYPTOGRAPHY in data else ""


def segment_types(data: bytes) -> list[int]:
    """The types of an ELF file's program headers; empty if it is not one for 64-bit little-endian machines."""
    if not data.startswith(_ELF64_LITTLE_ENDIAN) or len(data) < 64:
        return []
    offset, size, count = _PROGRAM_HEADERS.unpack_from(data)
    places = range(offset, min(offset + size * count, len(data) - 4), size or 56)
    return [struct.unpack_from("<I", data, place)[0] for place in places]


def read(data: bytes) -> GoProgram | None:
    """The build information in `data`, None if there is none that can be read."""
    at = data.find(_MAGIC)
    while at >= 0:
        if len(data) > at + _HEADER and data[at + 15] & _INLINE_STRINGS:
            version, end = _string(data, at + _HEADER)
            text, _ = _string(data, end)
            if version.startswith(b"go") or version.startswith(b"devel"):
                return _parse(version.decode(errors="replace"), text[_MARK:-_MARK].decode(errors="replace"))
        at = data.find(_MAGIC, at + 1)
    return None


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    """A string with its length in front, and where it ends."""
    length = shift = 0
    while at < len(data) and shift < 35:
        byte = data[at]
        length |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            break
    return data[at : at + length], at + length


def _parse(version: str, text: str) -> GoProgram:
    modules: dict[str, str] = {}
    settings: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        kind, *rest = line.split("\t")
        if kind in ("mod", "dep") and len(rest) > 1:
            last = rest[0]
            modules[last] = rest[1]
        elif kind == "=>" and len(rest) > 1:
            modules[last] = modules.get(last, "") if rest[1] in _OF_A_DIRECTORY else rest[1]
        elif kind == "build" and rest:
            name, _, value = rest[0].partition("=")
            settings[name] = value
    return GoProgram(version, modules, settings)
