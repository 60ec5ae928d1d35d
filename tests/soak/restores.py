"""A cluster of three servers goes back to a snapshot, twenty times in a row.

``python -m tests.soak.restores [--times 20] [--megabytes 100] [--weight PROCESSES]``. Led by each server in turn, with
a database of that size; prints the seconds of each, from the command to three voters on Ready nodes. ``--weight``: a
host counts as much as so many processes beside it (`tests.soak.share`).
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import tempfile
from pathlib import Path

from rke2.errors import LabError
from rke2_lab.lab import Lab
from tests.cluster import workload
from tests.cluster.backup.test_2_restore import save
from tests.cluster.backup.test_4_one_command import NAMES, restore, until_whole
from tests.cluster.members import Members
from tests.soak.share import weigh

_SECONDS = re.compile(r"The cluster is restored, after (\d+) s")
_OBJECT = 900_000
"""Bytes of one of the ConfigMaps that the database is filled with."""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        lab = Lab(Path(scratch) / "lab", f"soak{os.getpid()}")
        try:
            members = Members(lab, workload.write_archive(Path(scratch) / "workload.tar"))
            placed = [members.place(name, "server") for name in NAMES]
            for each in placed:
                weigh(each.node.host, options.weight)
            members.boot(*placed)
            until_whole(members)
            _fill(members, options.megabytes)
            _repeat(members, options.times)
        finally:
            lab.down()


def _fill(members: Members, megabytes: int) -> None:
    node = members["server-0"].node
    file = Path("/root/filler")
    for number in range(megabytes * 1_000_000 // _OBJECT):
        node.host.write_file(file, os.urandom(_OBJECT // 2).hex())
        done = node.kubectl("create", "configmap", f"filler-{number}", f"--from-file=key={file}")
        assert done.returncode == 0, done.stderr


def _repeat(members: Members, times: int) -> None:
    seconds: list[float] = []
    for number in range(times):
        leader = members[NAMES[number % len(NAMES)]].node
        try:
            done = restore(leader, save(leader, f"soak{number}").name, "--yes")
            found = _SECONDS.search(done.stderr)
            assert done.returncode == 0 and found, done.stderr
            until_whole(members)
            seconds.append(float(found[1]))
            print(f"{number + 1}/{times}: {seconds[-1]:.0f} s, led by {leader.host.name}", flush=True)
        except (LabError, AssertionError) as error:
            print(f"{number + 1}/{times}: FAILED\n{error}", flush=True)
            return
    print(f"{len(seconds)} of {times}, median {statistics.median(seconds or [0]):.0f} s")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--weight", type=int, default=1, metavar="PROCESSES")
    return parser.parse_args()


if __name__ == "__main__":
    main()
