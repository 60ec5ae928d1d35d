"""What an operator reads, whole: nodes in known states."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rke2.lifecycle.progress import ConnectionStatus
from rke2.status.cluster import ClusterStatus, NodeStatus, Pod
from rke2.status.plans import PlanUnderWay
from rke2.status.report import StatusReport
from rke2.status.settled import Unsettled
from rke2.status.text import MANY_NODES, as_text
from tests.golden import assert_golden
from tests.unit.status import reports

GOLDEN = Path(__file__).parent / "golden"
STATES = (
    reports.healthy_server,
    reports.learner_joining,
    reports.no_quorum,
    reports.healthy_agent,
    reports.agent_without_servers,
)
SCREEN = 24


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_the_text(state: Callable[[], StatusReport]) -> None:
    assert_golden(GOLDEN / f"{state.__name__}.txt", as_text(state(), now=reports.NOW) + "\n")


def test_wide_has_every_table() -> None:
    text = as_text(reports.healthy_server(), wide=True, now=reports.NOW)
    assert_golden(GOLDEN / "healthy_server_wide.txt", text + "\n")


@pytest.mark.parametrize("state", [reports.healthy_server, reports.healthy_agent])
def test_what_is_healthy_fits_a_screen(state: Callable[[], StatusReport]) -> None:
    assert len(as_text(state(), now=reports.NOW).splitlines()) <= SCREEN


def test_a_certificate_that_ends_soon_is_told_with_what_to_do() -> None:
    soon = reports.certificates(2026)
    now = datetime(2026, 10, 14, tzinfo=UTC).timestamp()
    text = as_text(dataclasses.replace(reports.healthy_server(), certificates=soon), now=now)
    remedy = "restart rke2 on this node to renew it"
    assert f"server/tls/client-admin.crt ends in 40 days: {remedy}" in text
    gone = as_text(dataclasses.replace(reports.healthy_server(), certificates=soon), now=now + 90 * 86400)
    assert f"server/tls/client-admin.crt ended on 2026-11-23: {remedy}" in gone


def test_a_lost_member_and_a_lost_node_leave_this_one_ready() -> None:
    report = reports.healthy_server()
    lost = dataclasses.replace(
        report,
        etcd=reports.etcd(silent=(2,)),
        cluster=ClusterStatus(reports.nodes(down="server-2"), (), (), "server-0"),
    )
    text = as_text(lost, now=reports.NOW)
    assert lost.ready
    assert "etcd: the member on server-2 does not answer" in text
    assert "NotReady: Kubelet stopped posting node status." in text
    assert "3 of 4 Ready" in text


def test_a_plan_under_way_is_a_line() -> None:
    report = reports.healthy_server()
    assert report.cluster
    plan = PlanUnderWay("server-plan", "v1.37.2-rke2py1", "Waiting", "outside of spec.window")
    text = as_text(
        dataclasses.replace(report, cluster=dataclasses.replace(report.cluster, plans=(plan,))),
        now=reports.NOW,
    )
    assert "plans         server-plan to v1.37.2-rke2py1 (Waiting: outside of spec.window)" in text
    assert "plans" not in as_text(report, now=reports.NOW)


def test_of_many_nodes_only_those_in_need_are_listed() -> None:
    nodes = tuple(NodeStatus(f"agent-{number}", number != 7, "", "") for number in range(MANY_NODES + 1))
    agents = {node.name: 1 for node in nodes if node.name != "agent-3"}
    process = reports.process("server", reports.SERVER_PHASES, ConnectionStatus(agents=agents))
    report = StatusReport(process, reports.PID, (), ClusterStatus(nodes, (), (), "agent-0"))
    lines = [line.split() for line in as_text(report, now=reports.NOW).splitlines()]
    assert ["agent-3", "Ready", "not", "connected"] in lines
    assert ["agent-7", "NotReady", "connected"] in lines
    assert not any(line[:1] == ["agent-1"] for line in lines)


def test_connections_of_a_process_that_ended_are_not_shown() -> None:
    ended = dataclasses.replace(reports.healthy_agent(), pid=None)
    text = as_text(ended, now=reports.NOW)
    assert "LOAD BALANCER" not in text
    assert "tunnels" not in text


def test_a_pod_in_trouble_is_listed_and_no_other() -> None:
    pods = (*reports.PODS, Pod("coredns", "CrashLoopBackOff", "0/1", 5))
    report = dataclasses.replace(reports.healthy_server(), cluster=ClusterStatus(reports.nodes(), pods))
    text = as_text(report, now=reports.NOW)
    assert "coredns" in text
    assert "rke2-canal-gcxz5" not in text


def test_all_of_the_workload_that_is_not_complete_is_listed_once() -> None:
    missing = (
        Unsettled("pod", "coredns", "Pending"),
        Unsettled("pod", "helm-x", "to be reported"),
        *(Unsettled("job", f"j{n}", "not completed") for n in range(5)),
    )
    pods = (*reports.PODS, Pod("coredns", "Pending", "0/1", 0), Pod("helm-x", "Running", "1/1", 0))
    cluster = ClusterStatus(reports.nodes(), pods, missing, "server-0")
    text = as_text(dataclasses.replace(reports.healthy_server(), cluster=cluster), now=reports.NOW)
    table = text.split("WORKLOAD (kube-system)")[1]
    assert all(f"{each.kind} {each.name}" in table and each.state in table for each in missing[1:])
    assert "and 6 more" in text.splitlines()[0]
    assert table.count("coredns") == 1


def test_of_a_long_failure_the_beginning_and_the_reason_are_shown() -> None:
    why = f"helm upgrade failed: {'x' * 1000}: replicas is no number"
    missing = (
        Unsettled("chart", "c", "failing", why, in_trouble=True),
        Unsettled("chart", "d", "failing", "no"),
    )
    cluster = ClusterStatus(reports.nodes(), reports.PODS, missing, "server-0")
    text = as_text(dataclasses.replace(reports.healthy_server(), cluster=cluster), now=reports.NOW)
    assert "waiting for chart c: failing: helm upgrade failed: xx" in text.splitlines()[0]
    assert text.splitlines()[0].endswith("replicas is no number; and 1 more")
    assert len(text.splitlines()[0]) < 450
    (row,) = (line for line in text.splitlines() if line.startswith("chart c"))
    assert "failing: helm upgrade failed: xx" in row
    assert row.endswith("xx: replicas is no number")
    assert len(row) < 350
    assert "chart d                 failing: no" in text
