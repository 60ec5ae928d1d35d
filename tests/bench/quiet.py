"""Waiting until the machine has nothing else to do: what a bench measures beside other work is of that work, too."""

from __future__ import annotations

import time
from pathlib import Path

QUIET = 0.25
"""Share of all cores' time that may be in use; hosts of a lab that rest take less."""
INTERVAL = 2.0
PATIENCE = 120.0
"""Seconds to wait at most."""


def until_quiet() -> None:
    """Wait for a quiet machine, or give up; say how much of it is in use then."""
    deadline = time.monotonic() + PATIENCE
    while (share := busy_share()) > QUIET and time.monotonic() < deadline:
        pass
    print(f"  {share:.0%} of the machine is in use", flush=True)


def busy_share() -> float:
    """The share of all cores' time in use, over a moment."""
    before = _times()
    time.sleep(INTERVAL)
    passed = [now - then for now, then in zip(_times(), before, strict=True)]
    idle = passed[3] + passed[4]
    return 1 - idle / (sum(passed) or 1)


def _times() -> list[int]:
    """user nice system idle iowait irq softirq steal, in ticks (proc(5))."""
    return [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
