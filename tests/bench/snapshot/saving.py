"""``rke2 etcd-snapshot save`` beside ``etcdctl snapshot save``."""

from __future__ import annotations

import time

from rke2_lab.node import LabNode
from tests.bench.snapshot.machines import (
    ENDPOINT,
    FILES,
    PLACE,
    PROGRAMS,
    Machines,
    Memory,
    ratio,
    save,
    shown,
)


def report(machines: Machines, runs: int) -> None:
    node, theirs, ours, rises = machines.node, list[float](), list[float](), list[float]()
    _ours(node)  # what the first one loads is not counted
    for _ in range(runs):
        theirs.append(_theirs(node))
        memory = Memory(node)
        ours.append(_ours(node))
        rises.append(memory.rise())
    shown("etcdctl snapshot save", theirs)
    shown("rke2 etcd-snapshot save", ours)
    ratio(ours, theirs, "at most 1.1")
    print(f"{'  supervisor, MiB more at its peak':38}{max(rises):7.1f} (at most 40)")


def _theirs(node: LabNode) -> float:
    target = PLACE / "of-etcdctl"
    certificate, key, authority = FILES
    words = [f"--endpoints={ENDPOINT}", f"--cert={certificate}", f"--key={key}", f"--cacert={authority}"]
    began = time.monotonic()
    node.host.exec(
        [str(PROGRAMS / "etcdctl"), *words, "snapshot", "save", str(target)], check=True, timeout=900
    )
    seconds = time.monotonic() - began
    node.host.path(target).unlink()
    return seconds


def _ours(node: LabNode) -> float:
    began = time.monotonic()
    path = save(node)
    seconds = time.monotonic() - began
    node.host.path(path).unlink()
    return seconds
