"""The promise of every binary, checked on the binary itself after each build.

* Static: an ELF executable without a program interpreter (``PT_INTERP``) and without a dynamic section
  (``PT_DYNAMIC``), so nothing of the host is loaded into it.
* FIPS: built by a Go toolchain with the experiment ``boringcrypto``, *and* BoringCrypto is really linked. The
  experiment alone proves nothing: with cgo off or on an unsupported platform Go falls back without a word. What
  proves it are names in Go's function table, which survive stripping: the marker function
  ``crypto/internal/boring/sig.BoringCrypto`` (its counterpart is ``sig.StandardCrypto``) and the calls into
  the C module, and the source paths inside the module itself.
* Pinned: the build information names the recipe's module at the recipe's version.

A Go program that links no cryptography at all (the CNI plugin `loopback`) has nothing to prove: no function of
``crypto/internal/…`` is in it.
"""

from __future__ import annotations

import mmap
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from distribution.builder.errors import VerificationError
from distribution.builder.recipes import Binary, Recipe

_ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_ELF64_LITTLE_ENDIAN = b"\x7fELF\x02\x01"
_MACHINE_X86_64 = 62
_PT_DYNAMIC, _PT_INTERP = 2, 3

EXPERIMENT = "boringcrypto"
_NO_CRYPTOGRAPHY_WITHOUT = b"crypto/internal/"
_BORING_MARKERS = {
    b"crypto/internal/boring/sig.BoringCrypto": "Go's BoringCrypto marker function",
    b"_Cfunc__goboringcrypto_": "calls into the BoringCrypto module",
    b"/boringssl/crypto/fipsmodule/": "the BoringCrypto module",
}


@dataclass(frozen=True)
class Module:
    """One line of a Go binary's build information."""

    path: str
    version: str
    checksum: str


@dataclass(frozen=True)
class GoBuildInfo:
    """What ``go version -m`` says of a binary: toolchain, modules (the main one first), settings."""

    go_version: str
    modules: tuple[Module, ...]
    settings: dict[str, str]

    @property
    def all_modules(self) -> tuple[Module, ...]:
        """`modules` and Go's own library, under the name that vulnerability databases give it."""
        return *self.modules, Module("stdlib", self.go_version.removeprefix("go").partition("-")[0], "")


def verify(recipe: Recipe, binary: Binary, path: Path) -> GoBuildInfo | None:
    """Check the binary at `path`; gives its build information if Go built it.

    Raises:
        VerificationError: naming the binary and what it lacks.
    """
    with _mapped(path) as data:
        refuse_dynamic(path.name, data)
        if not binary.package:
            return None
        info = build_info(path)
        _refuse_unpinned(recipe, binary, info)
        refuse_without_fips(binary.name, data, info)
        return info


def refuse_dynamic(name: str, data: mmap.mmap | bytes) -> None:
    """Raise `VerificationError` unless `data` is a static x86-64 ELF executable."""
    types = set(_segment_types(name, data))
    if _PT_INTERP in types:
        raise VerificationError(f"{name}: not static: it asks for a program interpreter (PT_INTERP)")
    if _PT_DYNAMIC in types:
        raise VerificationError(f"{name}: not static: it has a dynamic section (PT_DYNAMIC)")


def refuse_without_fips(name: str, data: mmap.mmap | bytes, info: GoBuildInfo) -> None:
    """Raise `VerificationError` unless the cryptography in `data` is BoringCrypto's."""
    if f"X:{EXPERIMENT}" not in info.go_version or info.settings.get("GOEXPERIMENT") != EXPERIMENT:
        raise VerificationError(f"{name}: not FIPS: built without the Go experiment {EXPERIMENT!r}")
    if data.find(_NO_CRYPTOGRAPHY_WITHOUT) < 0:
        return
    for marker, meaning in _BORING_MARKERS.items():
        if data.find(marker) < 0:
            raise VerificationError(f"{name}: not FIPS: {meaning} is missing ({marker.decode()!r} not found)")


def build_info(path: Path) -> GoBuildInfo:
    """Read a Go binary's build information.

    Raises:
        VerificationError: there is none.
    """
    result = subprocess.run(["go", "version", "-m", path], capture_output=True, text=True, check=False)
    lines = result.stdout.splitlines()
    if result.returncode != 0 or not lines:
        raise VerificationError(f"{path.name}: no Go build information: {result.stderr.strip()}")
    return parse_build_info(lines)


def parse_build_info(lines: list[str]) -> GoBuildInfo:
    """Parse the output of ``go version -m``: a line ``<file>: <version>``, then tab-separated records.

    A record ``=>`` replaces the module of the record before it: that is the code which was compiled, under
    the path of the replaced one.
    """
    modules: list[Module] = []
    settings: dict[str, str] = {}
    for line in lines[1:]:
        kind, *rest = line.strip("\n").lstrip("\t").split("\t")
        if kind in ("mod", "dep"):
            modules.append(_module(rest))
        elif kind == "=>":
            modules[-1] = _replaced(modules[-1], _module(rest))
        elif kind == "build":
            name, _, value = rest[0].partition("=")
            settings[name] = value
    return GoBuildInfo(lines[0].rpartition(": ")[2], tuple(modules), settings)


def _module(fields: list[str]) -> Module:
    path, version, checksum = (*fields, "", "")[:3]
    return Module(path, version, checksum)


def _replaced(original: Module, replacement: Module) -> Module:
    """A replacement by a directory has no version of its own, or ``(devel)``: the original's is kept then."""
    named = replacement.version not in ("", "(devel)")
    return Module(original.path, replacement.version if named else original.version, replacement.checksum)


def _refuse_unpinned(recipe: Recipe, binary: Binary, info: GoBuildInfo) -> None:
    path, version = recipe.expected_module(binary)
    found = {module.path: module.version for module in info.modules}
    if found.get(path) != version:
        raise VerificationError(
            f"{binary.name}: built from {path} {found.get(path, '(absent)')}, the recipe pins {version}"
        )


def _segment_types(name: str, data: mmap.mmap | bytes) -> Iterator[int]:
    if len(data) < _ELF_HEADER.size or data[:6] != _ELF64_LITTLE_ENDIAN:
        raise VerificationError(f"{name}: not a 64-bit ELF file")
    header = _ELF_HEADER.unpack_from(data)
    machine, offset, entry_size, count = header[2], header[5], header[9], header[10]
    if machine != _MACHINE_X86_64:
        raise VerificationError(f"{name}: built for ELF machine {machine}, not for x86-64")
    for index in range(count):
        yield _PROGRAM_HEADER.unpack_from(data, offset + index * entry_size)[0]


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data
