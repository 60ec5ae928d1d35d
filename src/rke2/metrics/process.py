"""The rke2 process itself, by the names every client of Prometheus has for a process."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from rke2.metrics.families import Family, counter, gauge

_TICKS = os.sysconf("SC_CLK_TCK")


def families(proc: Path = Path("/proc/self")) -> tuple[Family, ...]:
    """Time, memory and open files of this process; not of the programs it has started."""
    stat = (proc / "stat").read_text().rpartition(")")[2].split()
    # Fields 14, 15, 22, 23 and 24 of proc(5), counted from the state, which is the third.
    user, system, started, virtual, resident = (int(stat[field - 3]) for field in (14, 15, 22, 23, 24))
    open_files = len(list((proc / "fd").iterdir()))
    return (
        counter(
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds.",
            (user + system) / _TICKS,
        ),
        gauge("process_open_fds", "Number of open file descriptors.", open_files),
        gauge(
            "process_max_fds",
            "Maximum number of open file descriptors.",
            resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        ),
        gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", virtual),
        gauge(
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            resident * resource.getpagesize(),
        ),
        gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            _boot_time() + started / _TICKS,
        ),
    )


def _boot_time() -> float:
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
