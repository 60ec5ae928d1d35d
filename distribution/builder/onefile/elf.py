"""What is taken out of ELF files and read from them, by binutils; what is put into one: `movable`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from distribution.builder.errors import BuildError

LOADER = "ld-linux-x86-64.so.2"

_NEEDED = re.compile(r"\(NEEDED\).*\[(.+)\]")


def is_elf(path: Path) -> bool:
    """Whether it begins like one."""
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def strip(paths: Sequence[Path]) -> None:
    """Take out symbols for debuggers: half of what wheels bring."""
    _run("strip", "--strip-unneeded", *map(str, paths))


def needed(path: Path) -> set[str]:
    """The names of the libraries it is linked to."""
    return set(_NEEDED.findall(_run("readelf", "--dynamic", "--wide", str(path))))


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
