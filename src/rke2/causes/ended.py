"""Which static pods of this node have ended, and what they said last, by the logs of their containers.

The API server knows it, too, but may be the one that has ended.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from rke2.causes.logs import said, told_by

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
        if since < written < until and not _runs(log, tasks):
            found[pod] = told_by(said(log))
    return found


def restarted(pods: Iterable[str], tasks: Path, since: float, *, logs: Path = LOGS) -> dict[str, str]:
    """The last words that each pod said before it was started again; parameters as of `ended`.

    What ends after a while runs most of the time; why it does is in the log of the container before.
    """
    found = {}
    for pod in pods:
        *before, (_, newest) = sorted(_logs(pod, logs)) or [(0.0, logs)]
        if before and before[-1][0] > since and _runs(newest, tasks):
            found[pod] = told_by(said(before[-1][1]))
    return {pod: words for pod, words in found.items() if words}


def running(pod: str, tasks: Path, *, logs: Path = LOGS) -> bool:
    """Whether the newest container of the static pod runs."""
    _, newest = max(_logs(pod, logs), default=(0.0, None))
    return newest is not None and _runs(newest, tasks)


def _runs(log: Path, tasks: Path) -> bool:
    return (tasks / _container(log)).exists()


def _logs(pod: str, logs: Path) -> Iterator[tuple[float, Path]]:
    """The logs of a pod's containers, and when they were written last."""
    for link in logs.glob(f"{pod}-*_kube-system_{pod}-*.log"):
        try:
            yield link.stat().st_mtime, link
        except OSError:
            continue  # removed meanwhile


def _container(log: Path) -> str:
    return log.stem.rpartition("-")[2]
