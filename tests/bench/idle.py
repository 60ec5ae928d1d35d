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


def idle_figures(node: LabNode) -> dict[str, str]:
    """RSS and CPU share of the rke2 process over a minute, after half a minute of rest."""
    pid = process_id(node)
    time.sleep(30)
    before, started = cpu_seconds(node, pid), time.monotonic()
    time.sleep(WATCHED_SECONDS)
    share = (cpu_seconds(node, pid) - before) / (time.monotonic() - started)
    return {
        "supervisor RSS when idle": f"{rss_mib(node, pid):.0f} MiB (limit 100)",
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


def rss_mib(node: LabNode, pid: int) -> float:
    status = node.host.path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def cpu_seconds(node: LabNode, pid: int) -> float:
    fields = node.host.path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
