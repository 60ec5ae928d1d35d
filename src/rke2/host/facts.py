"""What the machine is: found out once at the start, never assumed.

Everything is read below a root directory and from an environment, so that tests describe whole machines with a
few files.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CAP_SYS_RESOURCE = 24
"""Bit number in the capability sets of /proc/self/status."""


@dataclass(frozen=True)
class HostFacts:
    """One machine as the node sees it.

    Args:
        cgroup_version: 2 if the unified hierarchy is mounted at /sys/fs/cgroup.
        cgroup_controllers: controllers this process may use.
        systemd: systemd is the machine's init.
        started_by_systemd: this process belongs to a unit (systemd sets ``INVOCATION_ID``).
        can_lower_oom_score: CAP_SYS_RESOURCE is there; containers and micro VMs often lack it.
        user_namespace: root here is not root on the machine.
        kernel: major and minor version.
    """

    cgroup_version: Literal[1, 2]
    cgroup_controllers: frozenset[str]
    systemd: bool
    started_by_systemd: bool
    can_lower_oom_score: bool
    user_namespace: bool
    selinux: bool
    apparmor: bool
    swap: bool
    kernel: tuple[int, int]

    @property
    def systemd_cgroups(self) -> bool:
        """Whether systemd manages the cgroups of pods; kubelet and containerd must agree on it."""
        return self.started_by_systemd and self.systemd and "cpuset" in self.cgroup_controllers


def detect(root: Path = Path("/"), environ: Mapping[str, str] = os.environ, release: str = "") -> HostFacts:
    """Look at the machine.

    Args:
        root: where /proc, /sys and /run are.
        release: kernel release; empty asks the kernel.
    """
    unified = (root / "sys/fs/cgroup/cgroup.controllers").exists()
    return HostFacts(
        cgroup_version=2 if unified else 1,
        cgroup_controllers=_unified_controllers(root) if unified else _legacy_controllers(root),
        systemd=(root / "run/systemd/system").is_dir(),
        started_by_systemd=bool(environ.get("INVOCATION_ID")),
        can_lower_oom_score=bool(_effective_capabilities(root) >> CAP_SYS_RESOURCE & 1),
        user_namespace=_in_user_namespace(root),
        selinux=_first_line(root / "sys/fs/selinux/enforce") != "",
        apparmor=_first_line(root / "sys/module/apparmor/parameters/enabled") == "Y",
        swap=len(_lines(root / "proc/swaps")) > 1,
        kernel=parse_kernel(release or platform.release()),
    )


def parse_kernel(release: str) -> tuple[int, int]:
    """Major and minor version of a release such as ``6.1.0-18-amd64``; (0, 0) if it has another form."""
    match = re.match(r"(\d+)\.(\d+)", release)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _unified_controllers(root: Path) -> frozenset[str]:
    return frozenset(_first_line(root / "sys/fs/cgroup/cgroup.controllers").split())


def _legacy_controllers(root: Path) -> frozenset[str]:
    """Lines are ``hierarchy:controllers:path``; neither the unified hierarchy nor a named one has controllers."""
    fields = [line.split(":", 2) for line in _lines(root / "proc/self/cgroup")]
    names = [name for parts in fields if len(parts) == 3 for name in parts[1].split(",")]
    return frozenset(name for name in names if name and not name.startswith("name="))


def _effective_capabilities(root: Path) -> int:
    for line in _lines(root / "proc/self/status"):
        if line.startswith("CapEff:"):
            return int(line.partition(":")[2], 16)
    return 0


def _in_user_namespace(root: Path) -> bool:
    """The machine's own namespace maps all ids onto themselves: ``0 0 4294967295``."""
    mapping = _first_line(root / "proc/self/uid_map").split()
    return bool(mapping) and mapping != ["0", "0", "4294967295"]


def _first_line(path: Path) -> str:
    return next(iter(_lines(path)), "")


def _lines(path: Path) -> list[str]:
    """The file's lines; none if it is not there or not for us, which says that the kernel lacks the feature."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
