"""Why a static pod of this node does not answer, found without the API server that may be one of them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from rke2.causes.ended import LOGS, ended, restarted, running
from rke2.causes.kubelet import said_of
from rke2.config.paths import Paths
from rke2.lifecycle.logfile import LogFile


def causes(
    components: Collection[str],
    paths: Paths,
    node: str,
    since: float,
    *,
    log: Path | None = None,
    logs: Path = LOGS,
) -> dict[str, str]:
    """What is known of each component, in this order: it has ended; it cannot be started; it ended before.

    Args:
        components: names of static pods.
        node: name of this node, part of their names.
        since: Unix time; what happened before does not count.
        log: the kubelet's, if it is not in its usual place.
        logs: the kubelet's links to the logs of containers.
    """
    tasks = paths.containerd_tasks
    over = {name: f"it ended: {words}" for name, words in ended(components, tasks, since, logs=logs).items()}
    again = restarted(components, tasks, since, logs=logs)
    before = {name: f"it was started again; before that it said: {words}" for name, words in again.items()}
    return {**before, **held(components, paths, node, since, log=log, logs=logs), **over}


def held(
    components: Collection[str],
    paths: Paths,
    node: str,
    since: float,
    *,
    log: Path | None = None,
    logs: Path = LOGS,
) -> dict[str, str]:
    """What the kubelet cannot do for components that do not run; parameters as of `causes`."""
    down = {
        f"{name}-{node}": name for name in components if not running(name, paths.containerd_tasks, logs=logs)
    }
    found = said_of(tuple(down), LogFile(log or paths.kubelet_log), since) if down else {}
    return {down[pod]: words for pod, words in found.items()}
