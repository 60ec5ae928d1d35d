"""The tests of faults, ten times in a row on one cluster.

``python -m tests.soak.faults [--times 10] [-k EXPRESSION]``. Prints each result and the windows measured as they come.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

FAULTS = "tests/cluster/high_availability"
ROOT = Path(__file__).parents[2]


def main() -> None:
    options = _options()
    # The same folder named again is collected again, and shares the cluster that was booted for it.
    folders = ["--keep-duplicates", *[FAULTS] * options.times]
    command = [sys.executable, "-m", "pytest", "-v", "-s", "-m", "", "-k", options.k, *folders]
    sys.exit(subprocess.run(command, cwd=ROOT, check=False).returncode)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("-k", default="", metavar="EXPRESSION", help="only these, as pytest's -k")
    return parser.parse_args()


if __name__ == "__main__":
    main()
