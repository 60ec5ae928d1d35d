"""How much of the machine's CPU a host gets when others want it, too.

A host is a control group of its own. For the kernel it weighs as much as one process beside it, whatever runs in it: on
a machine that does other work at the same time, a whole node would get what each of its processes gets.
"""

from __future__ import annotations

from rke2_lab.host import LabHost

_WEIGHTS = {"cpu.shares": 1024, "cpu.weight": 100}
"""File of cgroup v1 and v2 -> what a process beside the group weighs."""


def weigh(host: LabHost, processes: int) -> None:
    """Have a running host weigh as much as so many processes beside it."""
    for group in host.record.groups:
        for name, one in _WEIGHTS.items():
            if (file := group.root / name).exists():
                file.write_text(str(one * processes))
