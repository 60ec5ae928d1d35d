"""Static pods that have ended, as their logs and containerd's directories tell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rke2.causes.ended import REPLACED_SECONDS, ended, restarted, running

NOW, START = 10_000.0, 9_000.0
LONG_AGO = NOW - REPLACED_SECONDS - 1


class Containers:
    """The kubelet's links and containerd's tasks."""

    def __init__(self, root: Path) -> None:
        self.logs, self.tasks = root / "containers", root / "tasks"
        self.logs.mkdir()
        self.tasks.mkdir()

    def add(self, pod: str, container: str, said: str, at: float = LONG_AGO, *, runs: bool = False) -> None:
        target = self.logs.parent / f"{container}.log"
        target.write_text("".join(f"2026-11-26T08:57:22.5Z stderr F {line}\n" for line in said.splitlines()))
        os.utime(target, (at, at))
        (self.logs / f"{pod}-server-0_kube-system_{pod}-{container}.log").symlink_to(target)
        if runs:
            (self.tasks / container).mkdir()

    def ended(self, *pods: str) -> dict[str, str]:
        return ended(pods, self.tasks, START, logs=self.logs, now=NOW)


@pytest.fixture
def containers(tmp_path: Path) -> Containers:
    return Containers(tmp_path)


def test_the_last_words_of_what_does_not_run_are_told(containers: Containers) -> None:
    containers.add("kube-apiserver", "a1", "starting\nError: unknown flag: --nonsense")
    containers.add("etcd", "e1", "serving", runs=True)
    assert containers.ended("etcd", "kube-apiserver", "kube-scheduler") == {
        "kube-apiserver": "Error: unknown flag: --nonsense"
    }


def test_a_new_container_counts(containers: Containers) -> None:
    containers.add("etcd", "e1", "Error: gone", LONG_AGO - 10)
    containers.add("etcd", "e2", "serving", LONG_AGO, runs=True)
    assert containers.ended("etcd") == {}


@pytest.mark.parametrize("at", [START - 1, NOW - 0.1], ids=["before the start", "just now"])
def test_what_ended_before_or_just_now_is_not_told(containers: Containers, at: float) -> None:
    containers.add("etcd", "e1", "Error: gone", at)
    assert containers.ended("etcd") == {}


def test_a_log_that_is_gone_is_passed_over(containers: Containers) -> None:
    containers.add("etcd", "e1", "Error: gone")
    (containers.logs.parent / "e1.log").unlink()
    assert containers.ended("etcd") == {}


def test_of_what_runs_again_the_end_before_is_told(containers: Containers) -> None:
    containers.add("kube-scheduler", "s1", "serving\nError: leader election lost", LONG_AGO - 10)
    containers.add("kube-scheduler", "s2", "serving", NOW - 1, runs=True)
    containers.add("etcd", "e1", "serving", runs=True)
    pods = ("kube-scheduler", "etcd")
    assert restarted(pods, containers.tasks, START, logs=containers.logs) == {
        "kube-scheduler": "Error: leader election lost"
    }
    assert restarted(pods, containers.tasks, LONG_AGO, logs=containers.logs) == {}


def test_whether_a_pod_runs(containers: Containers) -> None:
    containers.add("etcd", "e1", "serving", LONG_AGO)
    assert not running("etcd", containers.tasks, logs=containers.logs)
    containers.add("etcd", "e2", "serving", NOW, runs=True)
    assert running("etcd", containers.tasks, logs=containers.logs)
    assert not running("kube-scheduler", containers.tasks, logs=containers.logs)
