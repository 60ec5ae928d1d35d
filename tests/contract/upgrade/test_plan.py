"""What `rke2 upgrade plan` prints, as text and for scripts; the page about it has the same checks."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

from rke2.upgrade.facts import RequestedApi
from rke2.upgrade.plan import CHECKS, make_plan
from rke2.upgrade.release import PackagedChart
from rke2.upgrade.text import as_json, as_text
from tests.golden import assert_golden
from tests.unit.upgrade.facts import GOOD, NEW, node

HERE = Path(__file__).parent
ROOT = HERE.parents[2]

BAD = replace(
    GOOD,
    then=replace(NEW, charts={"rke2-coredns": PackagedChart("1.1.0", {"replicas": 1})}),
    nodes=(
        node("server-0", arguments=("server", "--kubelet-arg", "containerd=/run/c.sock")),
        node("server-1", arguments=("server", "--kubelet-arg", "event-qps=0")),
        node("agent-0", ready=False, free=3 << 30),
    ),
    requested=(
        RequestedApi("", "v1", "endpoints"),
        RequestedApi("policy.example", "v1beta1", "things", "1.37"),
    ),
    stored={"podgroups.v1alpha2.scheduling.k8s.io": 3},
    chart_values={"rke2-coredns": {"autoscaler": {"min": 2}}},
    ending=("server/tls/client-admin.crt ends in 12 days: restart rke2 on this node to renew it",),
    snapshot=None,
)


def test_the_text_of_a_plan_that_stands_still() -> None:
    assert_golden(HERE / "stop.txt", as_text(make_plan(BAD)) + "\n")


def test_the_text_of_a_plan_with_nothing_in_the_way() -> None:
    assert_golden(HERE / "ok.txt", as_text(make_plan(GOOD)) + "\n")


def test_the_json_of_a_plan() -> None:
    text = as_json(make_plan(BAD))
    assert json.loads(text)["exitCode"] == 3
    assert_golden(HERE / "stop.json", text + "\n")


def test_the_page_has_a_row_for_every_check() -> None:
    page = (ROOT / "docs/upgrades.md").read_text()
    rows = re.findall(r"^\| `([a-z]+)` \| (.+) \| (?:note|warning|stop)", page, re.MULTILINE)
    assert rows == [(check.name, check.about) for check in CHECKS]
