"""What is changed in ELF files and read from them, by the programs made for that (patchelf, binutils)."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from distribution.builder.errors import BuildError

LOADER = "ld-linux-x86-64.so.2"
LOADER_MARK = "/where-rke2-is-unpacked"
LOADER_SPACE = 1000
"""Both as distribution/components/onefile/payload.go has them: it writes the loader's path over the mark."""

_NEEDED = re.compile(r"\(NEEDED\).*\[(.+)\]")
_SEARCHED = re.compile(r"\((?:RPATH|RUNPATH)\).*\[(.+)\]")


def is_elf(path: Path) -> bool:
    """Whether it begins like one."""
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def strip(paths: Sequence[Path]) -> None:
    """Take out symbols for debuggers: half of what wheels bring."""
    _run("strip", "--strip-unneeded", *map(str, paths))


def make_movable(program: Path) -> None:
    """Let `program` have a loader whose place is told later, and look for libraries beside itself, nowhere before.

    By ``RPATH``: it comes before ``LD_LIBRARY_PATH``, and holds for what is loaded by libraries in turn.
    """
    mark = LOADER_MARK.ljust(LOADER_SPACE - 1, "/")
    _run(
        *("patchelf", "--set-interpreter", mark, "--force-rpath", "--set-rpath", "$ORIGIN/../lib"),
        str(program),
    )


def needed(path: Path) -> set[str]:
    """The names of the libraries it is linked to."""
    return set(_NEEDED.findall(_run("readelf", "--dynamic", "--wide", str(path))))


def searched(path: Path) -> list[str]:
    """Where it wants libraries to be looked for."""
    return _SEARCHED.findall(_run("readelf", "--dynamic", "--wide", str(path)))


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise BuildError(
            command[0], "is not installed (run `python -m distribution prerequisites --install`)"
        ) from error
    if done.returncode:
        raise BuildError(command[0], f"failed on {command[-1]}", done.stderr.strip())
    return done.stdout
