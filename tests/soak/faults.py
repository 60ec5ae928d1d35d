"""The tests of faults, ten times in a row on one cluster.

``python -m tests.soak.faults [--times 10] [-k EXPRESSION]``. Prints each result, what failed, and the windows measured
as they come.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

FAULTS = "tests/cluster/high_availability"
ROOT = Path(__file__).parents[2]


class AtOnce:
    """Prints what failed when it failed: the end of the run is hours away."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            print(f"\n{report.nodeid}: {report.when}\n{report.longreprtext}", flush=True)


def main() -> None:
    options = _options()
    # The same folder named again is collected again, and shares the cluster that was booted for it.
    folders = ["--keep-duplicates", *[str(ROOT / FAULTS)] * options.times]
    arguments = ["--rootdir", str(ROOT), "-v", "-s", "-m", "", "-k", options.k, *folders]
    sys.exit(pytest.main(arguments, plugins=[AtOnce()]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("-k", default="", metavar="EXPRESSION", help="only these, as pytest's -k")
    return parser.parse_args()


if __name__ == "__main__":
    main()
