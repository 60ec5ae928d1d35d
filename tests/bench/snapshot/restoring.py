"""One server back to a snapshot with rke2, beside ``etcdutl snapshot restore`` and a normal boot."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from rke2.config.paths import Paths
from rke2_lab.node import LabNode
from tests.bench.snapshot.machines import PLACE, PROGRAMS, Machines, ratio, save, shown
from tests.cluster.backup.test_2_restore import restore
from tests.soak.share import weigh


def report(machines: Machines, runs: int) -> None:
    node = machines.node
    path = save(node)
    boots, theirs, ours, commands = list[float](), list[float](), list[float](), list[float]()
    for _ in range(runs):
        _cold(machines)
        tool = _etcdutl(node, path)
        boots.append(_boot(machines))
        theirs.append(tool + boots[-1])
        _cold(machines)
        commands.append(_command(node, path))
        ours.append(commands[-1] + _boot(machines))
    shown("a boot", boots)
    shown("etcdutl snapshot restore, and a boot", theirs)
    shown("rke2 server --cluster-reset", commands)
    shown("the same, and a boot", ours)
    ratio(ours, theirs, "at most 1.2")


def _cold(machines: Machines) -> None:
    """As after a reboot: no process, no container."""
    host = machines.node.host
    host.stop()
    host.start()
    weigh(host, machines.weight)


def _boot(machines: Machines) -> float:
    began = time.monotonic()
    machines.server.start()
    machines.server.until_ready()
    return time.monotonic() - began


def _command(node: LabNode, path: Path) -> float:
    began = time.monotonic()
    done = restore(node, path)
    seconds = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    for each in (*node.host.path(PLACE).glob("etcd-old-*"), *node.host.path(Paths().server).glob("tls-*")):
        shutil.rmtree(each)
    return seconds


def _etcdutl(node: LabNode, path: Path) -> float:
    target = PLACE / "of-etcdutl"
    began = time.monotonic()
    node.host.exec(
        [str(PROGRAMS / "etcdutl"), "snapshot", "restore", str(path), f"--data-dir={target}"],
        check=True,
        timeout=900,
    )
    seconds = time.monotonic() - began
    shutil.rmtree(node.host.path(target))
    return seconds
