"""What a host with a root of its own gets from the machine: the product, and an operator's tools.

::

    /opt/rke2-lab/
      bin/rke2        starts the product: Python of the machine, with the machine's C library
      tools/          programs of the machine for people and tests: at the end of their PATH, never in that of rke2
      machine/usr/    the machine's /usr, read-only; nothing looks there by itself

A program of the machine is started by its own loader with its own libraries, so it runs whatever C library the host
has. Nothing of it is on a path where the host's programs look.
"""

from __future__ import annotations

import os
import shlex
import shutil
import struct
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rke2.errors import LabError
from rke2_lab import program as running
from rke2_lab.kernel import Mount, mount

PLACE = Path("/opt/rke2-lab")
BIN, TOOLS = PLACE / "bin", PLACE / "tools"
RKE2, PYTHON = BIN / "rke2", TOOLS / "python3"
_MACHINE = PLACE / "machine"
_USR = Path("/usr")
_SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

NAMES = (
    *("bash", "busybox", "ip", "kill", "nsenter", "pgrep", "pkill", "ps", "ss", "tar", "tc"),
    *(f"{family}{verb}" for family in ("iptables", "ip6tables") for verb in ("", "-save", "-restore")),
)
"""Tools that people and tests look at a host with; those that the machine has."""

_EXTENSIONS = "usr/lib/x86_64-linux-gnu/xtables"
_PT_INTERP = 3


def exposed() -> tuple[Path, ...]:
    """Directories that the product runs from, at their own paths in the host: code, packages, standard library."""
    base = Path(sys.base_prefix)
    library = Path(sysconfig.get_path("stdlib", vars={"base": str(base), "installed_base": str(base)}))
    return tuple(dict.fromkeys((running.SOURCE, Path(sys.prefix), library if base == _USR else base)))


def furnish(root: Path, program: Path | None = None) -> None:
    """Make the toolbox below `root`, in the host's mount namespace.

    Args:
        program: rke2 in one file, in place of what this process runs from.

    Raises:
        LabError: the machine's programs cannot be started from elsewhere.
        OSError: a mount failed.
    """
    place = _below(root, PLACE)
    place.mkdir(parents=True, exist_ok=True)
    mount("tmpfs", place, "tmpfs", Mount.NOSUID | Mount.NODEV, "mode=755,size=1m")
    for directory in (BIN, TOOLS, _MACHINE / "usr"):
        _below(root, directory).mkdir(parents=True)
    bind_read_only(_USR, _below(root, _MACHINE / "usr"))
    if program is None:
        _script(_below(root, RKE2), [*_python(), "-m", "rke2"], {"PYTHONPATH": running.SOURCE})
    else:
        _below(root, RKE2).touch()
        mount(program, _below(root, RKE2), flags=Mount.BIND)
    if running.FILE is None:
        _script(_below(root, PYTHON), _python())
    for name in NAMES:
        if found := shutil.which(name, path=_SEARCHED):
            _write_tool(_below(root, TOOLS / name), Path(found))


def bind_read_only(source: Path, target: Path) -> None:
    """Show `source` at `target`, unchangeable."""
    target.mkdir(parents=True, exist_ok=True)
    mount(source, target, flags=Mount.BIND)
    mount("none", target, flags=Mount.BIND | Mount.REMOUNT | Mount.READ_ONLY)


def _python() -> list[str]:
    """Python as this process has it: by its name in the virtual environment it finds its packages."""
    return _loaded(Path(sys.executable).resolve(), sys.executable)


def _write_tool(target: Path, found: Path) -> None:
    real = found.resolve()
    if not real.is_relative_to(_USR) or real.read_bytes()[:4] != b"\x7fELF":
        return
    extensions = {"XTABLES_LIBDIR": _MACHINE / _EXTENSIONS} if "tables" in found.name else {}
    _script(target, _loaded(real, found.name), extensions)


def _loaded(real: Path, name: str) -> list[str]:
    """The command line that starts `real` under `name`, by its loader if it has one."""
    program = moved(real) if real.is_relative_to(_USR) else real
    loader = interpreter(real)
    if loader is None:
        return [str(program)]
    libraries = ":".join(map(str, _library_path(loader.resolve())))
    return [str(moved(loader.resolve())), "--library-path", libraries, "--argv0", name, str(program)]


def _library_path(loader: Path) -> Iterator[Path]:
    """Where libraries are: those of the interpreter itself first, there may be others of the same name."""
    if not Path(sys.base_prefix).is_relative_to(_USR):
        yield Path(sys.base_prefix) / "lib"
    for directory in (loader.parent, Path("/usr/local/lib"), Path("/usr/lib")):
        yield moved(directory)


def moved(path: Path) -> Path:
    """Where a file of the machine's /usr is in the host.

    Raises:
        LabError: it is elsewhere on the machine.
    """
    if not path.is_relative_to(_USR):
        raise LabError(
            f"{path}: not below /usr, where this machine's libraries are looked for",
            "take the machine's own root for hosts: --root machine",
        )
    return _MACHINE / path.relative_to("/")


def interpreter(file: Path) -> Path | None:
    """The loader that an ELF program names; None for one that needs none."""
    with file.open("rb") as elf:
        header = elf.read(64)
        offset, size, count = *struct.unpack_from("<Q", header, 32), *struct.unpack_from("<HH", header, 54)
        for number in range(count):
            elf.seek(offset + number * size)
            kind, start, length = _segment(elf.read(size))
            if kind == _PT_INTERP:
                elf.seek(start)
                return Path(os.fsdecode(elf.read(length).rstrip(b"\0")))
    return None


def _segment(header: bytes) -> tuple[int, int, int]:
    """Type, offset in the file and size there."""
    kind, _, start, _, _, length = struct.unpack_from("<IIQQQQ", header)
    return kind, start, length


def _script(target: Path, command: Sequence[str], variables: Mapping[str, Path] = {}) -> None:
    settings = "".join(f"{name}={shlex.quote(str(value))} " for name, value in variables.items())
    target.write_text(f'#!/bin/sh\n{settings}exec {shlex.join(command)} "$@"\n')
    target.chmod(0o755)


def _below(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")
