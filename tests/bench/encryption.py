"""What it costs to exchange the key of 10,000 Secrets on a server that is used.

``python -m tests.bench.encryption [--secrets 10000] [--weight PROCESSES]`` (``make bench-encryption``). One server on a
test host. Calls are made to its API server at a steady rate (`tests.bench.calls`), first while nothing else happens,
then during ``rke2 secrets-encrypt rotate-keys``. Prints the seconds of the command, those of them in which Secrets were
written again (the others are the wait until the API server has looked at its file, which it does once a minute), and
the 99th percentile of the calls in both. ``--weight``: the host counts as much as so many processes beside it.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
from pathlib import Path

from rke2.config.paths import Paths
from rke2_lab.follow import until_ready
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.bench.calls import Calls, calling, percentile
from tests.bench.quiet import until_quiet
from tests.cluster.labs import gone_afterwards
from tests.cluster.nodes import place_server
from tests.soak.share import weigh

BOOT_SECONDS = 600.0
IDLE_SECONDS = 60.0
PER_SECOND = 40.0
LIMIT_SECONDS, LIMIT_RATIO = 60.0, 2.0
_REWRITTEN = re.compile(r"reencrypted (\d+) secrets in ([\d.]+) s")

_CREATE = """
import sys, threading
from pathlib import Path
from tests.bench.calls import NAMESPACE, Connection
def create(first):
    connection = Connection(Path(sys.argv[1]))
    for number in range(first, int(sys.argv[2]), 4):
        secret = {"metadata": {"name": f"bench-{number}"}, "stringData": {"value": f"{number:0512}"}}
        status = connection.call("POST", NAMESPACE + "/secrets", secret)
        assert status == 201, status
threads = [threading.Thread(target=create, args=(first,)) for first in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def main() -> None:
    options = _options()
    with (
        tempfile.TemporaryDirectory(dir="/var/tmp") as scratch,
        gone_afterwards(Lab(Path(scratch) / "lab", f"bench{os.getpid()}")) as lab,
    ):
        node = _boot(lab, options.weight)
        _fill(node, options.secrets)
        until_quiet()
        _print(*_measure(node, options.secrets))


def _boot(lab: Lab, weight: int) -> LabNode:
    node = place_server(lab, "server-0")
    weigh(node.host, weight)
    until_ready(node, node.start(), BOOT_SECONDS)
    return node


def _fill(node: LabNode, count: int) -> None:
    started, root = time.monotonic(), str(Path(__file__).parents[2])
    command = [node.host.python, "-c", _CREATE, str(Paths().admin_kubeconfig), str(count)]
    node.host.exec(command, env={"PYTHONPATH": root}, check=True, timeout=1200)
    print(f"{count} Secrets created in {time.monotonic() - started:.0f} s", flush=True)


def _measure(node: LabNode, count: int) -> tuple[Calls, float, float, float]:
    """All calls; when the command began and ended (Unix time), and for how many seconds Secrets were rewritten."""
    with calling(node.host, Paths().admin_kubeconfig, PER_SECOND) as calls:
        time.sleep(IDLE_SECONDS)
        began = time.time()
        done = node.rke2("secrets-encrypt", "rotate-keys", timeout=900)
        ended = time.time()
        assert done.returncode == 0, done.stderr
    found = _REWRITTEN.findall(node.log.read_text())
    assert found and int(found[-1][0]) > count, f"not all Secrets were written again: {found}"
    return calls, began, ended, float(found[-1][1])


def _print(calls: Calls, began: float, ended: float, rewriting: float) -> None:
    print(f"rotate-keys: {ended - began:.1f} s")
    print(f"  of which until the API server goes by the new key: {ended - began - rewriting:.1f} s")
    print(f"  of which writing Secrets again: {rewriting:.1f} s (limit {LIMIT_SECONDS:.0f})")
    print(f"{'99 % of calls, ms':<24}{'before':>10}{'command':>10}{'ratio':>8}{'rewriting':>10}{'ratio':>8}")
    for kind, made in calls.items():
        idle = _slowest(made, 0, began)
        told = "".join(
            f"{each * 1000:>10.1f}{each / idle:>8.2f}"
            for each in (_slowest(made, began, ended), _slowest(made, ended - rewriting, ended))
        )
        print(f"{kind:<24}{idle * 1000:>10.1f}{told} (limit {LIMIT_RATIO:.0f})")


def _slowest(made: list[tuple[float, float]], since: float, until: float) -> float:
    return percentile([seconds for due, seconds in made if since <= due < until], 99)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--secrets", type=int, default=10_000)
    parser.add_argument("--weight", type=int, default=1, metavar="PROCESSES")
    return parser.parse_args()


if __name__ == "__main__":
    main()
