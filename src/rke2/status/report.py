"""One look at the whole node, as data and as text."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from rke2.config.paths import Paths
from rke2.host.lock import holder
from rke2.lifecycle.progress import PhaseStatus, ProcessStatus, read_status
from rke2.status.cluster import Cluster, look
from rke2.status.health import Health, check_all


@dataclass(frozen=True)
class Report:
    """The node at one moment.

    `process` is what the last rke2 process on this data directory wrote; `pid` is set while one runs.
    """

    process: ProcessStatus | None
    pid: int | None
    health: tuple[Health, ...]
    cluster: Cluster | None

    @property
    def ready(self) -> bool:
        """The process is up, every component is healthy, the node is Ready and all system pods are settled."""
        return not self.waiting_for()

    def waiting_for(self) -> str:
        """The first thing that is missing, in the operator's words; empty when the node is ready."""
        if self.process is None:
            return "rke2 has never run on this data directory"
        if self.pid is None:
            return "rke2 is not running"
        if self.process.pid != self.pid:
            return "rke2 to begin"
        if not self.process.ready:
            running = [phase for phase in self.process.phases if phase.state == "running"]
            return (
                "; ".join(f"{phase.name}: {phase.detail or phase.waits_for}" for phase in running) or "start"
            )
        if ill := [check for check in self.health if not check.healthy]:
            return "; ".join(f"{check.component}: {check.message}" for check in ill)
        return self.cluster.waiting() if self.cluster else "the API server to answer"

    def as_dict(self) -> dict[str, Any]:
        """The report for ``-o json``."""
        return {
            "ready": self.ready,
            "waitingFor": self.waiting_for(),
            "pid": self.pid,
            "process": msgspec.to_builtins(self.process) if self.process else None,
            "health": [dataclasses.asdict(check) for check in self.health],
            "cluster": dataclasses.asdict(self.cluster) if self.cluster else None,
        }


def make_report(paths: Paths, *, only_process: bool = False) -> Report:
    """Look at everything now. Never fails: what cannot be reached is reported as such.

    Args:
        only_process: read what the process says of itself and ask nobody: this costs a booting node nothing.
    """
    process, pid = read_status(paths.status), holder(paths.lock)
    if process is None or only_process:
        return Report(process, pid, (), None)
    skip = _not_run(process)
    health = (check for check in check_all(paths) if check.component not in skip)
    return Report(process, pid, tuple(health), look(paths))


def _not_run(process: ProcessStatus) -> set[str]:
    """Components this node does not have: pods without a phase of their own in the boot."""
    optional = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"}
    return optional - {phase.name for phase in process.phases}


def as_text(report: Report) -> str:
    """The report for a terminal."""
    return "\n".join([*_headline(report), *_phases(report), *_components(report), *_cluster(report)])


def _headline(report: Report) -> list[str]:
    process = report.process
    if process is None:
        return [report.waiting_for()]
    name = f"rke2 {process.role} {process.version}"
    if report.pid is None:
        silent = not (process.stopping or process.error)
        how = "stopped" if process.stopping else "not running"
        lines = [f"{name}: {how}" + (" (it ended without a word)" if silent else "")]
    else:
        age = _duration(time.time() - process.started)
        state = "ready" if report.ready else f"waiting for {report.waiting_for()}"
        lines = [f"{name}: running for {age} (pid {report.pid}), {state}"]
    if process.error:
        lines.append(f"  last error: {process.error}")
        if process.remedy:
            lines.append(f"  what to do: {process.remedy}")
    return lines


def _phases(report: Report) -> list[str]:
    if not report.process or not report.process.phases:
        return []
    elapsed = time.time() - report.process.started
    rows: list[tuple[str, ...]] = [("PHASE", "STATE", "AT", "TOOK", "WAITING FOR")]
    rows += [_phase_row(phase, elapsed, alive=report.pid is not None) for phase in report.process.phases]
    return ["", *_table(rows)]


def _phase_row(phase: PhaseStatus, elapsed: float, *, alive: bool) -> tuple[str, ...]:
    at = "" if phase.started is None else f"{phase.started:.1f}s"
    if phase.state == "running":
        since = elapsed - (phase.started or 0)
        state = "running" if alive else "interrupted"
        return phase.name, state, at, f"{since:.1f}s" if alive else "", phase.detail or phase.waits_for
    if phase.state == "pending":
        return phase.name, phase.state, "", "", ", ".join(phase.requires)
    took = "" if phase.seconds is None else f"{phase.seconds:.1f}s"
    return phase.name, phase.state, at, took, ""


def _components(report: Report) -> list[str]:
    if not report.health:
        return []
    rows = [("COMPONENT", "HEALTH")]
    rows += [(check.component, check.message) for check in report.health]
    return ["", *_table(rows)]


def _cluster(report: Report) -> list[str]:
    if report.cluster is None:
        return []
    nodes = [("NODE", "STATUS")]
    nodes += [
        (node.name, "Ready" if node.ready else f"NotReady: {node.message}") for node in report.cluster.nodes
    ]
    pods = [("POD (kube-system)", "READY", "STATUS", "RESTARTS")]
    pods += [(pod.name, pod.ready, pod.state, str(pod.restarts)) for pod in report.cluster.pods]
    return ["", *_table(nodes), "", *_table(pods)]


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s" if minutes else f"{rest}s"
