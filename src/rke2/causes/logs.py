"""The logs of containers on this node, in the kubelet's directories and the runtime's format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rke2.causes.wording import gist
from rke2.lifecycle.last_words import LINES, last_words
from rke2.lifecycle.logfile import LogFile

PODS = Path("/var/log/pods")
"""``<namespace>_<pod>_<uid>/<container>/<number of restarts>.log``."""

Object = Mapping[str, Any]


def said(log: Path) -> list[str]:
    """The last lines, without the time, the stream and the flag that the runtime puts before each."""
    return [line.split(" ", 3)[-1] for line in LogFile(log).tail(LINES).splitlines()]


def before_its_end(pod: Object, status: Object, *, pods: Path = PODS) -> str:
    """What a container said before it ended last; empty if its log is not here.

    Args:
        status: of the container, in the pod's status.
    """
    meta = pod["metadata"]
    number = run_that_ended(status)
    log = pods / f"{meta['namespace']}_{meta['name']}_{meta['uid']}" / status["name"] / f"{number}.log"
    return told_by(said(log))


def run_that_ended(status: Object) -> int:
    """Which run of a container was the last to end: the present one, or the one before if it runs."""
    restarts = int(status.get("restartCount", 0))
    return restarts - 1 if runs(status) else restarts


def runs(status: Object) -> bool:
    """Whether the container runs, by its status."""
    return "running" in (status.get("state") or {})


def told_by(lines: Iterable[str]) -> str:
    """The line of a log's last ones that tells of the error, or the last one."""
    return gist(last_words(lines))
