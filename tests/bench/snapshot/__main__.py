"""Snapshots of a server beside what etcd's own tools and curl take, of the same data on the same disk.

``python -m tests.bench.snapshot [--runs 5] [--megabytes 500] [--weight PROCESSES] [--only PART…]``. Boots a server and
an object store on hosts of a lab, fills the server's database, and prints seconds, ratios and memory; ``--weight``: the
hosts count as much as so many processes beside them (`tests.soak.share`).
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from rke2_lab import roots
from rke2_lab.lab import Lab
from tests.bench.snapshot import restoring, saving, uploading
from tests.bench.snapshot.machines import PROGRAMS, Machines, fill
from tests.binaries import binary
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.nodes import place_server
from tests.cluster.restart.server import Server
from tests.objectstore.on_a_host import StoreHost
from tests.soak.share import weigh

PARTS: Mapping[str, Callable[[Machines, int], None]] = {
    "save": saving.report,
    "upload": uploading.report,
    "restore": restoring.report,
}


def main() -> None:
    options = _options()
    os.environ[roots.VARIABLE] = roots.MACHINE  # curl is the machine's
    with (
        tempfile.TemporaryDirectory(dir="/var/tmp") as scratch,
        gone_afterwards(new_lab(Path(scratch), f"snap{os.getpid()}")) as lab,
    ):
        machines = _booted(lab, options.weight)
        fill(machines.node, options.megabytes)
        print(f"{options.runs} runs, a database of {options.megabytes} MB; seconds: median (all)", flush=True)
        for name in options.only or PARTS:
            PARTS[name](machines, options.runs)


def _booted(lab: Lab, weight: int) -> Machines:
    node = place_server(lab, "server-0")
    store = StoreHost(lab)
    for host in (node.host, store.host):
        weigh(host, weight)
    for name in ("etcdctl", "etcdutl"):
        node.host.place_file(binary(name), PROGRAMS / name)
    server = Server(node)
    server.start()
    server.until_ready()
    return Machines(server, store, weight)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--weight", type=int, default=1, metavar="PROCESSES")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), metavar="PART", help=", ".join(PARTS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
