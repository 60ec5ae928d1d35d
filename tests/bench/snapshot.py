"""``rke2 etcd-snapshot save`` against ``etcdctl snapshot save``, of the same member to the same disk.

``python -m tests.bench.snapshot [--runs 5] [--megabytes 500] [--weight PROCESSES]``. Boots a server on a host of a lab,
fills its database, and takes snapshots by both in turn. Prints the seconds of each, their ratio, and by how much the
supervisor's memory rises while it takes one; ``--weight``: a host counts as much as so many processes beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rke2.config.paths import Paths
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.bench.idle import process_id
from tests.binaries import binary
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.nodes import place_server
from tests.cluster.restart.server import Server
from tests.soak.share import weigh

BASE = "bench"
_PLACE = Paths().etcd.parent
_ETCDCTL = Path("/usr/local/bin/etcdctl")
_TLS = Paths().tls / "etcd"
_FILES = (_TLS / "client.crt", _TLS / "client.key", _TLS / "server-ca.crt")
_ENDPOINT = "https://127.0.0.1:2379"
_PUT = """
import asyncio, json, os, sys
from pathlib import Path
from rke2.etcd.client import EtcdClient

async def main(endpoint, files, count):
    async with EtcdClient((endpoint,), *map(Path, files)) as client:
        for number in range(count):
            await client.put(f"/bench/{number}", os.urandom(1_000_000))

asyncio.run(main(*json.loads(sys.argv[1])))
"""


def main() -> None:
    options = _options()
    with (
        tempfile.TemporaryDirectory(dir="/var/tmp") as scratch,
        gone_afterwards(new_lab(Path(scratch), f"snap{os.getpid()}")) as lab,
    ):
        node = _booted(lab, options.weight)
        _fill(node, options.megabytes)
        _report(node, options.runs, options.megabytes)


def _booted(lab: Lab, weight: int) -> LabNode:
    node = place_server(lab, "server-0")
    weigh(node.host, weight)
    node.host.place_file(binary("etcdctl"), _ETCDCTL)
    server = Server(node)
    server.start()
    server.until_ready()
    return node


def _fill(node: LabNode, megabytes: int) -> None:
    words = json.dumps([_ENDPOINT, list(map(str, _FILES)), megabytes])
    node.host.exec([node.host.python, "-c", _PUT, words], check=True, timeout=1800)


def _report(node: LabNode, runs: int, megabytes: int) -> None:
    theirs, ours, rises = [], [], []
    _ours(node)  # what the first one loads is not counted
    for _ in range(runs):
        theirs.append(_theirs(node))
        seconds, rise = _ours(node)
        ours.append(seconds)
        rises.append(rise)
    print(f"{runs} snapshots of {megabytes} MB each, seconds: median (all)")
    print(f"etcdctl snapshot save       {_shown(theirs)}")
    print(f"rke2 etcd-snapshot save     {_shown(ours)}")
    print(
        f"ratio                       {statistics.median(ours) / statistics.median(theirs):.2f} (limit 1.1)"
    )
    print(f"supervisor's memory rises by {max(rises):.1f} MiB at most (limit 40)")


def _shown(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):6.2f} ({', '.join(f'{each:.2f}' for each in seconds)})"


def _theirs(node: LabNode) -> float:
    target = _PLACE / "of-etcdctl"
    certificate, key, authority = _FILES
    words = [f"--endpoints={_ENDPOINT}", f"--cert={certificate}", f"--key={key}", f"--cacert={authority}"]
    began = time.monotonic()
    node.host.exec([str(_ETCDCTL), *words, "snapshot", "save", str(target)], check=True, timeout=900)
    seconds = time.monotonic() - began
    node.host.path(target).unlink()
    return seconds


def _ours(node: LabNode) -> tuple[float, float]:
    """Seconds, and MiB by which the peak of the supervisor was above what it had before."""
    process = node.host.path(f"/proc/{process_id(node)}")
    (process / "clear_refs").write_text("5")
    before = _mebibytes(process, "VmRSS")
    began = time.monotonic()
    done = node.rke2("etcd-snapshot", "save", "--name", BASE, timeout=900)
    seconds = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    rise = _mebibytes(process, "VmHWM") - before
    for path in node.host.path(Paths().snapshots).glob(f"{BASE}-*"):
        path.unlink()
    return seconds, rise


def _mebibytes(process: Path, name: str) -> float:
    status = (process / "status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(f"{name}:"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--weight", type=int, default=1, metavar="PROCESSES")
    return parser.parse_args()


if __name__ == "__main__":
    main()
