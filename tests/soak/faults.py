"""The tests of faults, ten times in a row: one cluster of three servers, then one of a server and an agent.

``python -m tests.soak.faults [--times 10] [-k EXPRESSION] [PATH ...]``. Prints each result, what failed, and the
windows measured as they come.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "tests/cluster"
FAULTS = (
    CLUSTER / "high_availability",
    CLUSTER / "agents/faults",
    CLUSTER / "agents/joining/test_hostile.py",
)


class AtOnce:
    """Prints what failed when it failed: the end of the run is hours away."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            print(f"\n{report.nodeid}: {report.when}\n{report.longreprtext}", flush=True)


def main() -> None:
    options = _options()
    # The same path named again is collected again, and shares the cluster that was booted for it.
    paths = [str(path) for path in options.paths for _ in range(options.times)]
    arguments = ["--rootdir", str(ROOT), "-v", "-s", "-m", "", "-k", options.k, "--keep-duplicates", *paths]
    sys.exit(pytest.main(arguments, plugins=[AtOnce()]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("-k", default="", metavar="EXPRESSION", help="only these, as pytest's -k")
    parser.add_argument("paths", nargs="*", type=Path, default=FAULTS, metavar="PATH")
    return parser.parse_args()


if __name__ == "__main__":
    main()
