"""Each check finds what it is for, says how bad it is, and finds nothing in a cluster that is well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rke2.status.snapshots import LastSnapshot
from rke2.upgrade.facts import EtcdFacts, Facts, RequestedApi
from rke2.upgrade.findings import Finding, PlanSeverity
from rke2.upgrade.plan import CHECKS, make_plan
from rke2.upgrade.release import PackagedChart, ReleaseContent
from tests.unit.upgrade.facts import GIB, GOOD, NEW, NOW, OLD, SAME_ETCD, member, node, version

NOTE, WARNING, STOP = PlanSeverity.NOTE, PlanSeverity.WARNING, PlanSeverity.STOP
ETCD = GOOD.etcd or EtcdFacts(())


def found(check: str, **changes: Any) -> tuple[Finding, ...]:
    return make_plan(replace(GOOD, **changes)).findings[check]


def release(text: str, etcd: str = "v3.6.14") -> ReleaseContent:
    return replace(SAME_ETCD, version=version(text), images={"hardened-etcd": etcd})


def requested(removed: str) -> dict[str, Any]:
    return {"requested": (RequestedApi("policy.example", "v1beta1", "things", removed),)}


def arguments(*pairs: str) -> dict[str, Any]:
    return {"nodes": (node("server-0", arguments=("server", *pairs)),)}


def configured(**values: Any) -> dict[str, Any]:
    return {"chart_values": {"rke2-coredns": values}}


def etcd(**changes: Any) -> dict[str, Any]:
    return {"etcd": replace(ETCD, **changes)}


def snapshot(**changes: Any) -> dict[str, Any]:
    assert GOOD.snapshot
    return {"snapshot": replace(GOOD.snapshot, **changes)}


CASES: list[tuple[str, dict[str, Any], PlanSeverity, str]] = [
    ("version", {"then": release("v1.38.0")}, STOP, "Kubernetes 1.37 is skipped"),
    ("version", {"then": release("v1.35.9")}, STOP, "a downgrade"),
    ("version", {"then": release("v1.36.3")}, STOP, "v1.36.3 is older than v1.36.4"),
    ("version", {"then": OLD}, NOTE, "runs already"),
    ("version", {"now": release("v1.37.2"), "then": release("v1.38.0")}, WARNING, "does not know Kubernetes"),
    ("nodes", {"nodes": (node("agent-0", "v1.38.0"),)}, STOP, "newer than the API servers"),
    ("nodes", {"nodes": (node("agent-0", "v1.33.9"),)}, STOP, "more than 3 minor versions older"),
    ("nodes", {"nodes": (node("server-0"), node("agent-0", "v1.37.2"))}, STOP, "a server still v1.36.4"),
    ("nodes", {"nodes": (node("server-0"), node("server-1", "v1.37.2"))}, WARNING, "an upgrade is under way"),
    ("nodes", {"nodes": (node("server-0", ready=False),)}, WARNING, "not Ready: server-0"),
    ("arguments", arguments("--kubelet-arg", "containerd=/run/c.sock"), STOP, "no flag --containerd"),
    ("arguments", arguments("--kube-proxy-arg", "feature-gates=SidecarContainers=true"), STOP, "no feature"),
    (
        "arguments",
        arguments("--kube-apiserver-arg", "enable-admission-plugins=JobValidation"),
        STOP,
        "no admission",
    ),
    ("arguments", arguments("--kubelet-arg", "event-qps=0"), WARNING, "this means no limit"),
    ("apis", requested(""), NOTE, "its removal is not planned"),
    ("apis", requested("1.40"), WARNING, "and Kubernetes 1.40 removes it"),
    ("apis", requested("1.37"), STOP, "things.v1beta1.policy.example is in use, and Kubernetes 1.37"),
    ("apis", {"stored": {"podgroups.v1alpha2.scheduling.k8s.io": 3}}, STOP, "3 objects of podgroups"),
    ("charts", {"then": replace(SAME_ETCD, charts={})}, WARNING, "chart rke2-coredns is not in v1.37.2"),
    (
        "charts",
        {
            "then": replace(
                SAME_ETCD, charts={"rke2-coredns": PackagedChart("2.0.0", {"autoscaler": {"x": 1}})}
            ),
            **configured(autoscaler={"min": 2, "own": 1}),
        },
        WARNING,
        "HelmChartConfig rke2-coredns sets autoscaler.min",
    ),
    ("etcd", etcd(trouble="no leader yet"), STOP, "etcd is not well: no leader yet"),
    (
        "etcd",
        etcd(members=(member("server-0"), member("server-1"), member("server-2", "", ""))),
        STOP,
        "server-2",
    ),
    ("etcd", etcd(members=(member("server-0"), member("server-1"))), WARNING, "two members"),
    ("etcd", etcd(size=int(1.6 * GIB)), WARNING, "the database has 1638 MiB of at most 2048"),
    ("etcd", {"then": NEW}, WARNING, "point of no return"),
    ("etcd", {"then": release("v1.37.2", "v3.8.0")}, STOP, "skips a minor version"),
    ("etcd", etcd(members=(member("server-0", "3.7.3", "3.7.0"),)), STOP, "does not start on the data"),
    ("etcd", {"then": ReleaseContent(version("v1.37.2"))}, NOTE, "is not known"),
    ("disk", {"nodes": (node("agent-0", free=4 * GIB),)}, STOP, "agent-0 has 4.0 GiB left"),
    ("disk", {"nodes": (node("agent-0", free=int(4.8 * GIB)),)}, WARNING, "about 4.5 GiB are needed"),
    ("disk", {"nodes": (node("agent-0", free=None),)}, WARNING, "does not say how much room"),
    ("disk", {"then": ReleaseContent(version("v1.37.2"))}, NOTE, "is not known"),
    (
        "certificates",
        {"ending": ("server/tls/x.crt ends in 3 days: restart rke2",)},
        WARNING,
        "ends in 3 days",
    ),
    ("snapshot", {"snapshot": None}, STOP, "there is no snapshot"),
    ("snapshot", {"snapshot": None, "then": release("v1.36.5")}, WARNING, "there is no snapshot"),
    ("snapshot", snapshot(proven=0), STOP, "no snapshot was proven to restore"),
    ("snapshot", snapshot(proven=int(NOW) - 3 * 86400), WARNING, "3 days old"),
    ("snapshot", snapshot(unproven=("x does not restore: no space",)), WARNING, "x does not restore"),
]


@pytest.mark.parametrize(("check", "changes", "severity", "words"), CASES)
def test_a_check_finds_what_it_is_for(
    check: str, changes: dict[str, Any], severity: PlanSeverity, words: str
) -> None:
    findings = found(check, **changes)
    hits = [finding for finding in findings if words in finding.message]
    assert [finding.severity for finding in hits] == [severity], findings
    assert hits[0].remedy or severity is NOTE, "what to do is said"


def test_every_check_is_tried() -> None:
    assert {check for check, *_ in CASES} == {check.name for check in CHECKS}


def test_nothing_is_found_in_a_cluster_that_is_well() -> None:
    plan = make_plan(GOOD)
    assert {name: findings for name, findings in plan.findings.items() if findings} == {}
    assert plan.severity is NOTE


@pytest.mark.parametrize("check", [check.name for check in CHECKS])
def test_what_cannot_be_looked_at_stands_in_the_way(check: str) -> None:
    plan = make_plan(Facts(OLD, SAME_ETCD, unasked={check: "no answer within 10 s"}))
    assert plan.findings[check][0] == Finding(
        STOP, "cannot be looked at: no answer within 10 s", "put that right, then make the plan again"
    )


def test_the_worst_finding_is_the_exit_code() -> None:
    assert make_plan(replace(GOOD, then=NEW)).severity == 2
    assert make_plan(replace(GOOD, then=release("v1.38.0"))).severity == 3


def test_a_value_that_no_chart_has_by_default_is_the_templates_own_business() -> None:
    assert found("charts", **configured(mine=1, autoscaler={"mine": 1})) == ()


def test_flags_of_other_programs_and_of_rke2_are_not_looked_at() -> None:
    assert found("arguments", **arguments("--etcd-arg", "containerd=x", "--containerd", "x")) == ()


def test_a_server_without_etcd_needs_no_snapshot() -> None:
    assert found("snapshot", etcd=None, snapshot=None) == ()


def test_a_member_that_was_raised_alone_can_still_go_back() -> None:
    """While one member is older the data stay as they are (etcd's own rule)."""
    mixed = EtcdFacts((member("server-0", "3.7.3"), member("server-1"), member("server-2")))
    assert [finding.severity for finding in found("etcd", then=NEW, etcd=mixed)] == [WARNING]


def test_a_snapshot_without_a_verdict_is_named() -> None:
    fresh = LastSnapshot("on-demand-1", 1, int(NOW))
    assert "the newest is on-demand-1" in found("snapshot", snapshot=fresh)[0].message
