"""One look at the whole node, as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rke2.config.paths import Paths
from rke2.errors import KubeError
from rke2.host.lock import holder
from rke2.lifecycle.progress import ProcessStatus, read_status
from rke2.status import cluster, etcd
from rke2.status.api import Api
from rke2.status.certificates import Certificate, certificates
from rke2.status.cluster import Cluster
from rke2.status.ended import STATIC_PODS, ended
from rke2.status.etcd import Etcd
from rke2.status.health import Health, check_all, endpoints
from rke2.status.snapshots import LastSnapshot, last_snapshot


@dataclass(frozen=True)
class Report:
    """The node at one moment.

    `process` is what the last rke2 process on this data directory wrote; `pid` is set while one runs; `ended` has the
    last words of components that do not run any more.
    """

    process: ProcessStatus | None
    pid: int | None
    health: tuple[Health, ...]
    cluster: Cluster | None
    etcd: Etcd | None = None
    certificates: tuple[Certificate, ...] = ()
    ended: Mapping[str, str] = field(default_factory=dict)
    snapshot: LastSnapshot | None = None
    """The newest one on this server."""

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
        for component, words in self.ended.items():
            return f"{component}, which ended: {words}"
        for name, service in self.process.services.items():
            if service.state == "failing":
                return f"{name}, which failed and is started again: {service.error}"
        if self.process.silent:
            return f"this node to answer itself: {self.process.silent}"
        if not self.process.ready:
            running = [phase for phase in self.process.phases if phase.state == "running"]
            return (
                "; ".join(f"{phase.name}: {phase.detail or phase.waits_for}" for phase in running) or "start"
            )
        if self.etcd and (trouble := self.etcd.trouble()):
            return f"etcd: {trouble}"
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
            "ended": dict(self.ended),
            "cluster": dataclasses.asdict(self.cluster) if self.cluster else None,
            "etcd": {**dataclasses.asdict(self.etcd), "trouble": self.etcd.trouble()} if self.etcd else None,
            "snapshot": dataclasses.asdict(self.snapshot) if self.snapshot else None,
            "certificates": [
                {**dataclasses.asdict(certificate), "ends": certificate.ends.isoformat()}
                for certificate in self.certificates
            ],
        }


def make_report(paths: Paths, *, only_process: bool = False) -> Report:
    """Look at everything now. Never fails: what cannot be reached is reported as such.

    Args:
        only_process: read what the process says of itself and ask nobody: this costs a booting node nothing.
    """
    process, pid = read_status(paths.status), holder(paths.lock)
    if process is None:
        return Report(None, pid, (), None)
    phases = {phase.name for phase in process.phases}
    over = _ended(paths, process, phases) if pid == process.pid else {}
    if only_process:
        return Report(process, pid, (), None, ended=over)
    api = _api(paths, process.role)
    with ThreadPoolExecutor() as pool:
        health = pool.submit(check_all, endpoints(paths, process.role, phases, api))
        workload = pool.submit(cluster.look, paths, process.role, api) if api else None
        members = pool.submit(_or_none(etcd.look, "etcd" in phases), paths)
        return Report(
            process,
            pid,
            tuple(health.result()),
            workload.result() if workload else None,
            members.result(),
            certificates(paths),
            over,
            last_snapshot(process.snapshots) if process.snapshots else None,
        )


def _ended(paths: Paths, process: ProcessStatus, phases: Collection[str]) -> dict[str, str]:
    # A pod that was switched off has ended as it should.
    written = [name for name in STATIC_PODS if paths.pod_manifest(name).exists()]
    pods = [name for name in written if name in phases]
    return {**process.ended, **ended(pods, paths.containerd_tasks, process.started)}


def _api(paths: Paths, role: str) -> Api | None:
    try:
        return Api(paths, role)
    except KubeError:
        return None


def _or_none(look: Callable[[Paths], Etcd | None], wanted: bool) -> Callable[[Paths], Etcd | None]:
    return look if wanted else lambda _: None
