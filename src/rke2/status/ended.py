"""Which static pods of this node have ended, and what they said last, by the logs of their containers.

The API server knows it, too, but may be the one that has ended.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from rke2.lifecycle.last_words import LINES, last_words

LOGS = Path("/var/log/containers")
"""The kubelet's links to the logs: ``<pod>_<namespace>_<container>-<id>.log``."""

STATIC_PODS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")

REPLACED_SECONDS = 2.0
"""A container that ended less than this ago may be about to be replaced: its manifest has changed, say."""

_TAIL = 32 << 10


def ended(
    pods: Iterable[str], tasks: Path, since: float, *, logs: Path = LOGS, now: float | None = None
) -> dict[str, str]:
    """The last words of each pod whose newest container does not run any more.

    Args:
        pods: names of components, each with one container of its name.
        tasks: containerd's directory with one entry for each container that runs.
        since: Unix time; what was written before, say before a reboot, does not count.
    """
    until = (time.time() if now is None else now) - REPLACED_SECONDS
    found = {}
    for pod in pods:
        written, log = max(_logs(pod, logs), default=(0.0, logs))
        if since < written < until and not (tasks / _container(log)).exists():
            found[pod] = last_words(_tail(log))
    return found


def _logs(pod: str, logs: Path) -> Iterator[tuple[float, Path]]:
    """The logs of a pod's containers, and when they were written last."""
    for link in logs.glob(f"{pod}-*_kube-system_{pod}-*.log"):
        try:
            yield link.stat().st_mtime, link
        except OSError:
            continue  # removed meanwhile


def _container(log: Path) -> str:
    return log.stem.rpartition("-")[2]


def _tail(log: Path) -> list[str]:
    """The last lines; the runtime begins each with a time, the stream and a flag."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            lines = file.read().decode(errors="replace").splitlines()[-LINES:]
    except OSError:
        return []
    return [line.split(" ", 3)[-1] for line in lines]
