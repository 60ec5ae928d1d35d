"""The tests of faults, ten times in a row on one cluster.

``python -m tests.soak.faults [--times 10] [-k EXPRESSION]``. Prints the result of each round and the windows measured.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

FAULTS = "tests/cluster/high_availability"
ROOT = Path(__file__).parents[2]


def main() -> None:
    options = _options()
    passed = 0
    for number in range(1, options.times + 1):
        started = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-q", "-rPfE", "-m", "", FAULTS, "-k", options.k]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        passed += done.returncode == 0
        told = [line for line in done.stdout.splitlines() if "window" in line or "healed" in line]
        summary = done.stdout.strip().splitlines()[-1]
        print(
            f"{number}/{options.times}: {summary} ({time.monotonic() - started:.0f} s)",
            *told,
            sep="\n  ",
            flush=True,
        )
        if done.returncode:
            print(done.stdout[-6000:])
    print(f"{passed} of {options.times}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("-k", default="", metavar="EXPRESSION", help="only these, as pytest's -k")
    return parser.parse_args()


if __name__ == "__main__":
    main()
