"""Three servers that are started at the same moment become one cluster, twenty times of twenty.

``python -m tests.soak.joins [--times 20] [--servers 3]``. Each time on new hosts; prints the seconds until every server
votes and is Ready, and the end of the logs of those that are not.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rke2.errors import LabError
from rke2_lab.lab import Lab
from tests.cluster import workload
from tests.cluster.eventually import eventually
from tests.cluster.members import Members

VOTING_SECONDS = 120.0


def main() -> None:
    options = _options()
    seconds: list[float] = []
    for number in range(1, options.times + 1):
        try:
            seconds.append(_once(options.servers))
            print(f"{number}/{options.times}: {seconds[-1]:.0f} s", flush=True)
        except (LabError, AssertionError) as error:
            print(f"{number}/{options.times}: FAILED\n{error}", flush=True)
    print(f"{len(seconds)} of {options.times}, median {statistics.median(seconds or [0]):.0f} s")


def _once(count: int) -> float:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        lab = Lab(Path(scratch) / "lab", f"soak{os.getpid()}")
        try:
            members = Members(lab, workload.write_archive(Path(scratch) / "workload.tar"))
            placed = [members.place(f"server-{number}", "server") for number in range(count)]
            started = time.monotonic()
            members.boot(*placed)
            eventually(members.voters, "all vote", VOTING_SECONDS, ok=lambda names: len(names) == count)
            seconds = time.monotonic() - started
            _tell(lab, _started_again)
            return seconds
        except (LabError, AssertionError):
            _tell(lab, lambda lines: lines[-60:])
            raise
        finally:
            lab.down()


def _tell(lab: Lab, chosen: Callable[[list[str]], list[str]]) -> None:
    for log in sorted(lab.directory.glob("hosts/*/rke2.log")):
        if lines := chosen(log.read_text(errors="replace").splitlines()):
            print("\n".join([f"--- {log.parent.name}", *lines]), flush=True)


def _started_again(lines: list[str]) -> list[str]:
    """Why a boot began again: allowed, but not meant to happen to servers that start together."""
    return [line for line in lines if "starting again" in line or "Writing the cluster's keys" in line]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--servers", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
