"""Why a component of this node does not answer: how it ended, or what the kubelet has against starting it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from rke2.causes.static_pod import causes
from rke2.config.paths import Paths

LINE = (
    '1 pod_workers.go:1338] "Error syncing pod, skipping" err="failed to \\"CreatePodSandbox\\" for \\"x\\" with '
    'CreatePodSandboxError: \\"no disk\\"" pod="kube-system/{pod}"\n'
)


class Server:
    """The logs of a server, and what runs on it."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(data_dir=root / "rke2", run_dir=root / "run")
        self.logs = root / "containers"
        self.since = time.time() - 60
        for directory in (self.logs, self.paths.containerd_tasks, self.paths.agent_logs):
            directory.mkdir(parents=True)

    def kubelet_says(self, pod: str) -> None:
        at = time.strftime("E%m%d %H:%M:%S.0 ")
        with self.paths.kubelet_log.open("a") as log:
            log.write(at + LINE.format(pod=pod))

    def container(self, pod: str, name: str, said: str, *, runs: bool, age: float = 10.0) -> None:
        log = self.logs / f"{pod}-server-0_kube-system_{pod}-{name}.log"
        log.write_text(f"2026-11-26T08:57:22.5Z stderr F {said}\n")
        moment = time.time() - age
        os.utime(log, (moment, moment))
        if runs:
            (self.paths.containerd_tasks / name).mkdir()

    def causes(self, *components: str) -> dict[str, str]:
        return causes(components, self.paths, "server-0", self.since, logs=self.logs)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def test_a_pod_without_a_sandbox(server: Server) -> None:
    server.kubelet_says("etcd-server-0")
    server.kubelet_says("kube-scheduler-another")
    assert server.causes("etcd", "kube-scheduler") == {"etcd": "no sandbox: no disk"}


def test_a_container_that_ended(server: Server) -> None:
    server.kubelet_says("etcd-server-0")
    server.container("etcd", "e1", "Error: no such member", runs=False)
    assert server.causes("etcd") == {"etcd": "it ended: Error: no such member"}


def test_a_container_that_runs_has_a_sandbox(server: Server) -> None:
    server.kubelet_says("etcd-server-0")
    server.container("etcd", "e1", "serving", runs=True)
    assert server.causes("etcd") == {}


def test_a_container_that_was_started_again(server: Server) -> None:
    server.container("etcd", "e1", "Error: disk full", runs=False, age=20)
    server.container("etcd", "e2", "serving", runs=True)
    assert server.causes("etcd") == {"etcd": "it was started again; before that it said: Error: disk full"}
