from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2.host.lock import exclusive
from rke2.lifecycle.progress import PhaseStatus, Progress, ServiceStatus
from rke2.status.cluster import ClusterStatus, NodeStatus
from rke2.status.health import ComponentHealth
from rke2.status.report import StatusReport, make_report
from rke2.status.settled import Unsettled
from rke2.status.text import as_text
from tests.unit.status.reports import etcd, healthy_server


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(data_dir=tmp_path / "rke2", run_dir=tmp_path / "run")


def boot(paths: Paths, *, ready: bool = False) -> Progress:
    progress = Progress(paths.status, "server", "v1")
    progress.plan([PhaseStatus("host"), PhaseStatus("etcd", requires=["host"], waits_for="a healthy member")])
    with progress.running("host", "nothing"):
        pass
    if ready:
        progress.ready()
    return progress


def test_a_directory_where_nothing_ever_ran(paths: Paths) -> None:
    report = make_report(paths)
    assert not report.ready
    assert as_text(report) == "rke2 has never run on this data directory"


def test_while_booting_it_tells_what_is_waited_for(paths: Paths) -> None:
    progress = boot(paths)
    with exclusive(paths.lock), progress.running("etcd", "a healthy member"):
        progress.detail("etcd", "its image")
        report = make_report(paths)
        assert report.pid == os.getpid()
        assert report.waiting_for() == "etcd: its image"
        assert "its image" in as_text(report)


def test_after_a_crash_it_tells_where_it_was(paths: Paths) -> None:
    progress = boot(paths)
    progress.status.phases[1].state = "running"
    progress.write()
    text = as_text(make_report(paths))
    assert "not running" in text
    assert "interrupted" in text


def test_after_an_error_it_tells_error_and_remedy(paths: Paths) -> None:
    boot(paths).failed("port 2379 is in use", "stop that process")
    text = as_text(make_report(paths))
    assert "last error: port 2379 is in use" in text
    assert "what to do: stop that process" in text


def test_troubles_are_told_of_the_running_process_and_keep_nothing_from_being_ready(paths: Paths) -> None:
    progress = boot(paths, ready=True)
    progress.trouble("node password", "Secret x is of another machine")
    node = ClusterStatus((NodeStatus("n", True, ""),), ())
    running = StatusReport(progress.status, os.getpid(), (), node)
    assert running.ready
    assert "node password: Secret x is of another machine" in as_text(running)
    assert "another machine" not in as_text(StatusReport(progress.status, None, (), None))


def test_ready_needs_process_components_node_and_workload(paths: Paths) -> None:
    process, own = boot(paths, ready=True).status, os.getpid()
    well, ill = ComponentHealth("kubelet", True, "ok"), ComponentHealth("kubelet", False, "no answer")
    node, late = NodeStatus("n", True, ""), NodeStatus("n", False, "cni")
    table = [
        (own, well, ClusterStatus((node,), ()), ""),
        (None, well, ClusterStatus((node,), ()), "rke2 is not running"),
        (1, well, ClusterStatus((node,), ()), "rke2 to begin"),
        (own, ill, ClusterStatus((node,), ()), "kubelet: no answer"),
        (own, well, ClusterStatus((late,), ()), "node n to be Ready: cni"),
        (own, well, ClusterStatus((), ()), "the node to register"),
        (own, well, None, "the API server to answer"),
        (
            own,
            well,
            ClusterStatus((node,), (), (Unsettled("job", "j", "not completed"),)),
            "job j: not completed",
        ),
    ]
    for pid, health, cluster, waiting in table:
        report = StatusReport(process, pid, (health,), cluster)
        assert (report.waiting_for(), report.ready) == (waiting, not waiting)


def test_etcds_trouble_is_told_before_what_follows_from_it(paths: Paths) -> None:
    process, own = boot(paths, ready=True).status, os.getpid()
    ill = ComponentHealth("kube-apiserver", False, "HTTP 500")
    report = StatusReport(process, own, (ill,), None, etcd(silent=(1, 2), leader=""))
    assert report.waiting_for().startswith("etcd: 2 of 3 members do not answer: no quorum")


def test_json_has_all_of_it(paths: Paths) -> None:
    report = healthy_server()
    document = json.loads(json.dumps(report.as_dict()))
    assert document["etcd"]["members"][1]["role"] == "leader"
    assert document["process"]["connections"]["agents"] == {
        "server-0": 1,
        "server-1": 1,
        "server-2": 1,
        "agent-0": 1,
    }
    assert document["certificates"][0] == {
        "file": "server/tls/client-admin",
        "ends": "2027-11-23T00:00:00+00:00",
        "authority": False,
    }


def test_what_has_ended_is_told_first(paths: Paths) -> None:
    process = boot(paths, ready=True).status
    ill = ComponentHealth("kube-scheduler", False, "not running (nothing listens)")
    report = StatusReport(
        process, os.getpid(), (ill,), None, ended={"kube-scheduler": "Error: unknown flag: --x"}
    )
    assert report.waiting_for() == "kube-scheduler, which ended: Error: unknown flag: --x"
    assert not report.ready
    text = as_text(report)
    assert "kube-scheduler  ended: Error: unknown flag: --x" in text
    assert "nothing listens" not in text


def test_what_the_process_says_of_its_own_components_is_told_while_it_runs(paths: Paths) -> None:
    progress = boot(paths, ready=True)
    progress.ended("kubelet", "exit status 1: unknown flag: --max-pod")
    with exclusive(paths.lock):
        assert make_report(paths, only_process=True).ended == {
            "kubelet": "exit status 1: unknown flag: --max-pod"
        }
        progress.ended("kubelet", "")
        assert make_report(paths, only_process=True).ended == {}


def test_a_node_that_does_not_answer_itself_is_not_ready(paths: Paths) -> None:
    progress = boot(paths, ready=True)
    with exclusive(paths.lock):
        progress.silent("port 9345: no answer in 10 s")
        report = make_report(paths, only_process=True)
    assert report.waiting_for() == "this node to answer itself: port 9345: no answer in 10 s"


def test_a_service_that_fails_is_named_and_one_that_stays_away_is_shown(paths: Paths) -> None:
    progress = boot(paths, ready=True)
    with exclusive(paths.lock):
        progress.service("tunnels", ServiceStatus("failing", 3, "no memory"))
        progress.service("pull of x", ServiceStatus("failed", 1, "no registry"))
        report = make_report(paths, only_process=True)
    assert report.waiting_for() == "tunnels, which failed and is started again: no memory"
    assert "pull of x: no registry" in as_text(report)
