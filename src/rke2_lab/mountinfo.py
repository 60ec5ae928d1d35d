"""``/proc/<pid>/mountinfo``, see proc_pid_mountinfo(5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class MountEntry:
    """One mount: `root` within its file system, `point` in the tree."""

    root: Path
    point: Path
    fstype: str
    source: str
    super_options: str


def parse(line: str) -> MountEntry:
    """Parse one line; the number of optional fields before the hyphen varies."""
    before, after = line.rstrip("\n").split(" - ", 1)
    fields = before.split(" ")
    fstype, source, super_options = after.split(" ", 2)
    return MountEntry(
        Path(_unescape(fields[3])), Path(_unescape(fields[4])), fstype, _unescape(source), super_options
    )


def _unescape(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def mounts(pid: int | str = "self") -> list[MountEntry]:
    """The mounts that process `pid` sees, in the order they were made."""
    return [parse(line) for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]


def filesystem_of(path: Path, entries: list[MountEntry] | None = None) -> MountEntry:
    """The mount that holds `path` (absolute, without symbolic links)."""
    found = mounts() if entries is None else entries
    holding = [entry for entry in found if path.is_relative_to(entry.point)]
    return max(enumerate(holding), key=lambda item: (len(item[1].point.parts), item[0]))[1]
