"""Which static pods of this node have ended, and what they said last, by the logs of their containers.

The API server knows it, too, but may be the one that has ended.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from rke2.lifecycle.last_words import LINES, last_words
from rke2.lifecycle.logfile import LogFile

LOGS = Path("/var/log/containers")
"""The kubelet's links to the logs: ``<pod>_<namespace>_<container>-<id>.log``."""

STATIC_PODS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")

REPLACED_SECONDS = 2.0
"""A container that ended less than this ago may be about to be replaced: its manifest has changed, say."""


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
            found[pod] = last_words(_said(log))
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


def _said(log: Path) -> list[str]:
    """The last lines, without the time, the stream and the flag that the runtime puts before each."""
    return [line.split(" ", 3)[-1] for line in LogFile(log).tail(LINES).splitlines()]
