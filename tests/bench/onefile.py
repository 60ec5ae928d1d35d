"""What the one file costs: its size, its first start, ``rke2 --help`` and memory, beside the virtual environment.

``.venv/bin/python -m tests.bench.onefile [--runs N]``, after ``make dist``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

REPOSITORY = Path(__file__).parents[2]
FILE = REPOSITORY / "build/release/rke2.linux-amd64"
VENV = Path(sys.executable).with_name("rke2")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    print(f"size of the file                  {FILE.stat().st_size / 1e6:6.1f} MB")
    with tempfile.TemporaryDirectory() as scratch:
        print(f"first start                       {_first_starts(Path(scratch), runs):6.0f} ms")
        environment = _environment(Path(scratch, "kept"))
        for name, program in (("one file", FILE), ("virtual environment", VENV)):
            spent = [_run([program, "--help"], environment) for _ in range(runs)]
            peak = _peak([program, "server", "--help"], environment)
            print(f"rke2 --help, {name:20} {median(spent):6.0f} ms, {min(spent):.0f} at best")
            print(f"rke2 server --help, {name:13} {peak:6.1f} MiB at most")


def _first_starts(scratch: Path, runs: int) -> float:
    places = [scratch / str(number) for number in range(max(3, runs // 4))]
    return median(_run([FILE, "--version"], _environment(place)) for place in places)


def _environment(place: Path) -> Mapping[str, str]:
    return os.environ | {"RKE2_DATA_DIR": str(place), "XDG_CACHE_HOME": str(place)}


def _run(command: Sequence[str | Path], environment: Mapping[str, str]) -> float:
    """Milliseconds."""
    begin = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - begin) * 1e3


def _peak(command: Sequence[str | Path], environment: Mapping[str, str]) -> float:
    """MiB of memory at its largest."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
