"""What the supervisor costs when nothing happens, and what its command line costs."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from rke2_lab.node import LabNode

WATCHED_SECONDS = 60.0
"""With the half minute before it longer than what a node takes to settle (`rke2.host.memory.SETTLED`)."""


def idle_figures(node: LabNode) -> dict[str, str]:
    """RSS and CPU share of the rke2 process over a minute, after half a minute of rest."""
    pid = process_id(node)
    time.sleep(30)
    before, started = cpu_seconds(node, pid), time.monotonic()
    time.sleep(WATCHED_SECONDS)
    share = (cpu_seconds(node, pid) - before) / (time.monotonic() - started)
    return {
        "supervisor RSS when idle": f"{memory_mib(node, pid, 'VmRSS'):.0f} MiB (limit 88)",
        "of it the process's own, not of files": f"{memory_mib(node, pid, 'RssAnon'):.0f} MiB",
        "supervisor RSS at its peak": f"{memory_mib(node, pid, 'VmHWM'):.0f} MiB",
        "supervisor CPU when idle, one core": f"{share * 100:.2f} % (limit 2)",
    }


def start_up() -> dict[str, str]:
    """Wall time of ``rke2 --help`` as a whole process, median of nine."""
    program = [str(Path(sys.executable).parent / "rke2"), "--help"]
    times = []
    for _ in range(9):
        started = time.perf_counter()
        subprocess.run(program, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return {"rke2 --help": f"{statistics.median(times) * 1000:.0f} ms (limit 100)"}


def process_id(node: LabNode) -> int:
    """Of the rke2 process, as its host sees it."""
    return int(node.host.path("/var/lib/rancher/rke2/rke2.lock").read_text())


def memory_mib(node: LabNode, pid: int, kind: str) -> float:
    """What ``/proc/<pid>/status`` says of `kind`, such as ``VmRSS``."""
    status = node.host.path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(f"{kind}:"))


def cpu_seconds(node: LabNode, pid: int) -> float:
    fields = node.host.path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
