"""What a lab could leave on the machine."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from rke2_lab.lab import Lab


@dataclass(frozen=True)
class Traces:
    """Everything on the machine that names the lab, and all network links."""

    mounts: frozenset[str]
    netns: frozenset[str]
    links: str
    groups: frozenset[str]
    processes: frozenset[str]
    files: frozenset[str]


def traces(lab: Lab) -> Traces:
    """Look at the machine now."""
    name, directory = f"rke2lab-{lab.name}-", str(lab.state_dir)
    netns = Path("/run/netns")
    return Traces(
        mounts=frozenset(line for line in _mounts() if name in line or directory in line),
        netns=frozenset(path.name for path in netns.glob(f"{name}*")) if netns.exists() else frozenset(),
        links=subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True, check=True).stdout,
        groups=frozenset(str(path) for path in Path("/sys/fs/cgroup").rglob(f"{name}*")),
        processes=frozenset(line for line in _command_lines() if directory in line),
        files=frozenset(str(path) for path in lab.state_dir.rglob("*")),
    )


def _mounts() -> list[str]:
    return Path("/proc/self/mountinfo").read_text().splitlines()


def _command_lines() -> list[str]:
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_text().replace("\0", " "))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
