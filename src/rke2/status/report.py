"""One look at the whole node, as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rke2.causes import static_pod
from rke2.causes.ended import STATIC_PODS, ended
from rke2.config.paths import Paths
from rke2.errors import KubeError
from rke2.host.lock import holder
from rke2.installation import journal
from rke2.installation.journal import Journal
from rke2.lifecycle.progress import ProcessStatus, read_status
from rke2.status import cluster, etcd
from rke2.status.api import Api
from rke2.status.certificates import Certificate, certificates
from rke2.status.cluster import ClusterStatus
from rke2.status.etcd import EtcdStatus
from rke2.status.excerpt import excerpt, few
from rke2.status.health import ComponentHealth, check_all, endpoints
from rke2.status.snapshots import LastSnapshot, last_snapshot


@dataclass(frozen=True)
class StatusReport:
    """The node at one moment.

    `process` is what the last rke2 process on this data directory wrote; `pid` is set while one runs; `ended` has the
    last words of components that do not run any more; `causes` says of other components why they do not answer.
    """

    process: ProcessStatus | None
    pid: int | None
    health: tuple[ComponentHealth, ...]
    cluster: ClusterStatus | None
    etcd: EtcdStatus | None = None
    certificates: tuple[Certificate, ...] = ()
    ended: Mapping[str, str] = field(default_factory=dict)
    snapshot: LastSnapshot | None = None
    """The newest one on this server."""
    causes: Mapping[str, str] = field(default_factory=dict)
    upgrade: Journal | None = None
    """Of the last upgrade of this node."""

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
                few([f"{phase.name}: {phase.detail or phase.waits_for}" for phase in running], "; ")
                or "start"
            )
        if self.etcd and (trouble := self.etcd.trouble()):
            return f"etcd: {trouble}"
        if ill := [check for check in self.health if not check.healthy]:
            return few(
                [f"{check.component}: {self.health_of(check)}" for check in self._caused_first(ill)], "; "
            )
        return self.cluster.waiting() if self.cluster else "the API server to answer"

    def health_of(self, check: ComponentHealth) -> str:
        """What a component answers, or why it does not."""
        if check.component in self.ended:
            return f"ended: {excerpt(self.ended[check.component])}"
        cause = self.causes.get(check.component, "")
        return f"{check.message}: {excerpt(cause)}" if cause else check.message

    def _caused_first(self, ill: list[ComponentHealth]) -> list[ComponentHealth]:
        """What has a cause of its own first: the others mostly wait for it."""
        return sorted(ill, key=lambda check: check.component not in self.causes)

    def as_dict(self) -> dict[str, Any]:
        """The report for ``-o json``."""
        return {
            "ready": self.ready,
            "waitingFor": self.waiting_for(),
            "pid": self.pid,
            "process": msgspec.to_builtins(self.process) if self.process else None,
            "health": [dataclasses.asdict(check) for check in self.health],
            "ended": dict(self.ended),
            "causes": dict(self.causes),
            "cluster": dataclasses.asdict(self.cluster) if self.cluster else None,
            "etcd": {**dataclasses.asdict(self.etcd), "trouble": self.etcd.trouble()} if self.etcd else None,
            "snapshot": dataclasses.asdict(self.snapshot) if self.snapshot else None,
            "upgrade": msgspec.to_builtins(self.upgrade) if self.upgrade else None,
            "certificates": [
                {**dataclasses.asdict(certificate), "ends": certificate.ends.isoformat()}
                for certificate in self.certificates
            ],
        }


def make_report(paths: Paths, *, only_process: bool = False) -> StatusReport:
    """Look at everything now. Never fails: what cannot be reached is reported as such.

    Args:
        only_process: read what the process says of itself and ask nobody: this costs a booting node nothing.
    """
    process, pid = read_status(paths.status), holder(paths.lock)
    if process is None:
        return StatusReport(None, pid, (), None)
    phases = {phase.name for phase in process.phases}
    over = _ended(paths, process, phases) if pid == process.pid else {}
    if only_process:
        return StatusReport(process, pid, (), None, ended=over)
    api = _api(paths, process.role)
    with ThreadPoolExecutor() as pool:
        health = pool.submit(check_all, endpoints(paths, process.role, phases, api))
        workload = pool.submit(cluster.look, paths, process.role, api) if api else None
        members = pool.submit(_or_none(etcd.look, "etcd" in phases), paths)
        answers = tuple(health.result())
        return StatusReport(
            process,
            pid,
            answers,
            workload.result() if workload else None,
            members.result(),
            certificates(paths),
            over,
            last_snapshot(process.snapshots) if process.snapshots else None,
            _causes(paths, process, answers) if pid == process.pid else {},
            journal.read(paths.data_dir),
        )


def _ended(paths: Paths, process: ProcessStatus, phases: Collection[str]) -> dict[str, str]:
    pods = _written(paths, phases)
    return {**process.ended, **ended(pods, paths.containerd_tasks, process.started)}


def _causes(paths: Paths, process: ProcessStatus, health: Iterable[ComponentHealth]) -> dict[str, str]:
    ill = _written(paths, [check.component for check in health if not check.healthy])
    return static_pod.causes(ill, paths, cluster.own_name(paths), process.started) if ill else {}


def _written(paths: Paths, components: Collection[str]) -> list[str]:
    """Those that are static pods here; one that was switched off has ended as it should."""
    return [name for name in STATIC_PODS if name in components and paths.pod_manifest(name).exists()]


def _api(paths: Paths, role: str) -> Api | None:
    try:
        return Api(paths, role)
    except KubeError:
        return None


def _or_none(
    look: Callable[[Paths], EtcdStatus | None], wanted: bool
) -> Callable[[Paths], EtcdStatus | None]:
    return look if wanted else lambda _: None
