"""RKE2's program: where it is, and whether it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rke2.migration.findings import Finding, Severity
from rke2.migration.node import ExistingNode

_ELF = b"\x7fELF"
_ROLES = ("server", "agent")


def running(proc: Path) -> int | None:
    """The pid of a process of RKE2: its command line is ``rke2 server`` or ``rke2 agent``, its program ``rke2``."""
    for entry in sorted(proc.iterdir(), key=lambda path: path.name):
        if entry.name.isdigit() and _is_rke2(entry):
            return int(entry.name)
    return None


def _is_rke2(process: Path) -> bool:
    try:
        words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").split()
        program = (process / "exe").readlink()
    except OSError:
        return False
    return len(words) > 1 and Path(words[0]).name == program.name == "rke2" and words[1] in _ROLES


def check(node: ExistingNode, pid: int | None) -> Iterator[Finding]:
    """What to stop, and what to keep for the way back."""
    if pid is not None:
        yield Finding(
            "process",
            Severity.NOTE,
            f"RKE2 runs (pid {pid}); its pods go on when it is stopped",
            f"stop it before this program starts: systemctl stop rke2-{node.role}",
        )
    if _is_binary(node.program):
        yield Finding(
            "program",
            Severity.NOTE,
            f"{node.program} is RKE2's",
            f"the way back needs it: cp -a {node.program} {node.program}.upstream",
        )


def _is_binary(path: Path) -> bool:
    """RKE2's is one file of machine code; this program's is a script."""
    try:
        with path.open("rb") as file:
            return file.read(len(_ELF)) == _ELF
    except OSError:
        return False
