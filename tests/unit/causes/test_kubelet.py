"""Lines of a kubelet of Kubernetes 1.36, and the cause that each tells."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from rke2.causes.kubelet import FRESH_SECONDS, said_of
from rke2.lifecycle.logfile import LogFile

LOG = LogFile(Path(__file__).parent / "data/kubelet.log")
"""Written between 07:57:00 and 08:00:07."""

WRITTEN = time.mktime((2026, 11, 30, 8, 0, 8, 0, 0, -1))
EARLY = WRITTEN - 4 * 60
REFUSED = "dial tcp: lookup registry.invalid on 10.89.0.1:53: read: connection refused"


@pytest.fixture
def log(tmp_path: Path) -> LogFile:
    """The lines in the order of their times, as if all were fresh."""
    lines = LOG.path.read_text().splitlines()
    at = time.strftime("%m%d %H:%M:%S", time.localtime(WRITTEN))
    path = tmp_path / "kubelet.log"
    path.write_text("".join(f"E{at}{line[14:]}\n" for line in lines))
    return LogFile(path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("etcd-server-0", f"no sandbox: image registry.invalid/nobody/pause:3.9: {REFUSED}"),
        ("why-cm", 'volume "v": configmap "why-missing" not found'),
        ("helm-install-why-chart2-zm9ws", f"image registry.invalid/nobody/helm:v1: {REFUSED}"),
        ("why-env", 'container: configmap "why-missing" not found'),
        (
            "why-exec",
            'container: unable to start container process: error during container init: exec: "/no/such/program": '
            "stat /no/such/program: no such file or directory",
        ),
        (
            "server-0",
            'the kubelet cannot register it: Post "https://127.0.0.1:6442/api/v1/nodes": net/http: TLS handshake '
            "timeout",
        ),
    ],
)
def test_cause(log: LogFile, name: str, words: str) -> None:
    assert said_of((name, "another"), log, EARLY, now=WRITTEN) == {name: words}


def test_how_a_container_ended_is_in_its_own_log(log: LogFile) -> None:
    assert "CrashLoopBackOff" in log.path.read_text()
    assert said_of(("why-oom",), log, EARLY, now=WRITTEN) == {}


def test_what_is_over_is_not_told(log: LogFile) -> None:
    pods = ("etcd-server-0",)
    assert said_of(pods, log, EARLY, now=WRITTEN + FRESH_SECONDS - 1)
    assert said_of(pods, log, EARLY, now=WRITTEN + FRESH_SECONDS + 1) == {}
    assert said_of(pods, log, WRITTEN + 1, now=WRITTEN + 2) == {}


def test_the_newest_line_of_a_pod_counts(log: LogFile) -> None:
    line = next(line for line in log.path.read_text().splitlines() if "why-env" in line)
    with log.path.open("a") as file:
        file.write(line.replace("why-missing", "another-one") + "\n")
    assert said_of(("why-env",), log, EARLY, now=WRITTEN) == {
        "why-env": 'container: configmap "another-one" not found'
    }


def test_a_line_of_the_old_year_is_not_of_the_coming_one(tmp_path: Path) -> None:
    new_year = time.mktime((2027, 1, 1, 0, 0, 30, 0, 0, -1))
    path = tmp_path / "kubelet.log"
    path.write_text('E1231 23:59:50.1 1 a.go:1] "Error syncing pod, skipping" err="no" pod="kube-system/p"\n')
    assert said_of(("p",), LogFile(path), new_year - 600, now=new_year) == {"p": "no"}


def test_without_a_log_nothing_is_said(tmp_path: Path) -> None:
    assert said_of(("p",), LogFile(tmp_path / "none"), 0.0) == {}
