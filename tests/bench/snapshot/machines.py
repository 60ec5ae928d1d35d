"""The server and the object store of the bench, and what all its parts do with them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rke2.config.paths import Paths
from rke2_lab.node import LabNode
from tests.bench.idle import process_id
from tests.cluster.restart.server import Server
from tests.objectstore.on_a_host import StoreHost

BASE = "bench"
PROGRAMS = Path("/var/lib/rancher/bench")
"""Of etcd's tools, on what a restart of the host leaves alone."""
PLACE = Paths().etcd.parent
"""A directory on the disk of the database."""
ENDPOINT = "https://127.0.0.1:2379"
_TLS = Paths().tls / "etcd"
FILES = (_TLS / "client.crt", _TLS / "client.key", _TLS / "server-ca.crt")
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


@dataclass(frozen=True)
class Machines:
    """A server that runs, and an object store; `weight` is the option."""

    server: Server
    store: StoreHost
    weight: int

    @property
    def node(self) -> LabNode:
        return self.server.node


def fill(node: LabNode, megabytes: int) -> None:
    """Put so much into the database."""
    words = json.dumps([ENDPOINT, list(map(str, FILES)), megabytes])
    node.host.exec([node.host.python, "-c", _PUT, words], check=True, timeout=1800)


def save(node: LabNode, *flags: str) -> Path:
    """Take a snapshot; where it is in the host."""
    done = node.rke2("etcd-snapshot", "save", "--name", BASE, *flags, timeout=900)
    assert done.returncode == 0, done.stderr
    (found,) = node.host.path(Paths().snapshots).glob(f"{BASE}-*")
    return Paths().snapshots / found.name


class Memory:
    """By how many MiB the supervisor's peak is above what it had when this was made."""

    def __init__(self, node: LabNode) -> None:
        self._process = node.host.path(f"/proc/{process_id(node)}")
        (self._process / "clear_refs").write_text("5")
        self._before = self._mebibytes("VmRSS")

    def rise(self) -> float:
        return self._mebibytes("VmHWM") - self._before

    def _mebibytes(self, name: str) -> float:
        lines = (self._process / "status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def shown(what: str, seconds: Sequence[float]) -> None:
    told = ", ".join(f"{each:.2f}" for each in seconds)
    print(f"{what:38}{statistics.median(seconds):7.2f} ({told})", flush=True)


def ratio(ours: Sequence[float], theirs: Sequence[float], limit: str, *, speed: bool = False) -> None:
    """Print the ratio of the medians: of times, or of speeds."""
    found = statistics.median(ours) / statistics.median(theirs)
    print(f"{'  ratio':38}{1 / found if speed else found:7.2f} ({limit})", flush=True)
