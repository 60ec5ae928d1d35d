"""RKE2's program: where it is, and whether it runs."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from rke2.migration.findings import MigrationFinding, Severity
from rke2.migration.node import ExistingNode

_MARK = b"/".join((b"github.com", b"rancher", b"rke2", b"pkg", b""))
"""Stands in the program that Go makes of RKE2's packages; put together here, so that it stands in no other."""
_ROLES = ("server", "agent")


def running(proc: Path) -> int | None:
    """The pid of a process of RKE2: its command line is ``rke2 server`` or ``rke2 agent``, and its program RKE2's."""
    for entry in sorted(proc.iterdir(), key=lambda path: path.name):
        if entry.name.isdigit() and _is_rke2(entry):
            return int(entry.name)
    return None


def _is_rke2(process: Path) -> bool:
    try:
        words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").split()
    except OSError:
        return False
    named = len(words) > 1 and Path(words[0]).name == "rke2" and words[1] in _ROLES
    return named and is_rke2s(process / "exe")


def check(node: ExistingNode, pid: int | None) -> Iterator[MigrationFinding]:
    """What to stop, and what to keep for the way back."""
    if pid is not None:
        yield MigrationFinding(
            "process",
            Severity.NOTE,
            f"RKE2 runs (pid {pid}); its pods go on when it is stopped",
            f"stop it before this program starts: systemctl stop rke2-{node.role}",
        )
    if is_rke2s(node.program):
        yield MigrationFinding(
            "program",
            Severity.NOTE,
            f"{node.program} is RKE2's",
            f"the way back needs it: cp -a {node.program} {node.program}.upstream",
        )


def is_rke2s(path: Path) -> bool:
    """Whether the file is RKE2's program. This one's is a script, or a program with nothing of RKE2's in it."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(_MARK) >= 0
    except (OSError, ValueError):  # ValueError: an empty file
        return False
