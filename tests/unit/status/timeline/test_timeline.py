"""Bars of a boot, who waited for whom, and the two ways in which it is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rke2.cli import status as verb
from rke2.config.paths import Paths
from rke2.errors import HostError
from rke2.host.files import ensure_dir
from rke2.lifecycle.progress import Progress, Wait, read_status
from rke2.status.timeline import look as looking
from rke2.status.timeline.bars import Timeline, TimelineBar, pieces
from rke2.status.timeline.boot import of_process
from rke2.status.timeline.cluster import ClusterFacts
from rke2.status.timeline.critical import critical_path, with_critical
from rke2.status.timeline.text import as_text
from tests.unit.status.timeline import facts


def boot(node: dict[str, Any] | None, pods: list[Any], events: list[Any]) -> dict[str, TimelineBar]:
    bars = [*of_process(facts.process()), *ClusterFacts(facts.STARTED, node, pods, events).bars()]
    return {bar.key: bar for bar in bars}


@pytest.fixture
def bars() -> dict[str, TimelineBar]:
    return boot(facts.node(), facts.pods(), [facts.pulled("rke2-coredns-rke2-coredns-5-6", 21)])


# --- what is kept -----------------------------------------------------------------------------------
def test_a_boot_keeps_waits_imports_and_services_until_it_is_ready(tmp_path: Path) -> None:
    from rke2.lifecycle.progress import PhaseStatus, ServiceStatus

    progress = Progress(tmp_path / "status.json", "server", "v1")
    progress.plan([PhaseStatus("etcd")])
    with progress.running("etcd", "a member"), progress.importing("core.tar"):
        progress.detail("etcd", "its image")
        progress.detail("etcd", "its image")
        progress.detail("etcd", "its pod")
    progress.service("kubelet", ServiceStatus("running"))
    progress.ready()
    with progress.importing("later.tar"):
        progress.service("later", ServiceStatus("running"))
    status = read_status(tmp_path / "status.json")
    assert status is not None
    assert [wait.text for wait in status.phases[0].waits] == ["its image", "its pod"]
    kept = [("images", "core.tar"), ("service", "kubelet")]
    assert [(span.kind, span.name) for span in status.spans] == kept
    # Also in memory: the next thing that is written would have them.
    assert [(span.kind, span.name) for span in progress.status.spans] == kept
    assert status.spans[0].ended is not None


def test_a_phase_that_waits_for_hours_does_not_fill_the_state_file(tmp_path: Path) -> None:
    from rke2.lifecycle.progress import MOST_WAITS, PhaseStatus

    progress = Progress(tmp_path / "status.json", "server", "v1")
    progress.plan([PhaseStatus("etcd")])
    for number in range(MOST_WAITS + 5):
        progress.detail("etcd", f"try {number}")
    assert len(progress.status.phases[0].waits) == MOST_WAITS
    assert progress.status.phases[0].detail == f"try {MOST_WAITS + 4}"


# --- bars -------------------------------------------------------------------------------------------
def test_a_phase_is_cut_where_it_waited_for_something_else(bars: dict[str, TimelineBar]) -> None:
    parts = bars["phase:kube-apiserver"].pieces
    assert [(each.name, each.started, each.ended) for each in parts] == [
        ("image kubernetes to be imported", 2.5, 5.5),
        ("pod kube-apiserver to begin", 5.5, 6.0),
        ("GET /readyz", 6.0, 8.0),
    ]


def test_a_phase_that_has_not_begun_has_no_bar(bars: dict[str, TimelineBar]) -> None:
    assert "phase:kube-proxy" not in bars


def test_the_steps_of_a_pod_are_those_of_who_had_to_do_them(bars: dict[str, TimelineBar]) -> None:
    parts = bars["pod:rke2-coredns-rke2-coredns-5-6"].pieces
    assert [(each.name, round(each.ended - each.started)) for each in parts] == [
        ("to be scheduled", 6),
        ("kubelet: sandbox and volumes", 1),
        ("kubelet: to start containers", 1),
        ("its own start-up", 4),
    ]
    done = bars["pod:helm-install-rke2-canal-abcde"]
    assert (round(done.ended or 0), done.pieces[-1].name) == (13, "its work")


def test_a_static_pod_is_older_than_what_the_api_server_has_of_it(bars: dict[str, TimelineBar]) -> None:
    static = bars["pod:kube-apiserver-server-0"]
    assert (round(static.started), round(static.ended or 0)) == (3, 8)
    assert static.requires == ("phase:kube-apiserver",)


def test_pieces_follow_each_other() -> None:
    found = pieces(1.0, [("a", 2.0), ("unknown", None), ("earlier", 1.5), ("b", 3.0)])
    assert [(each.name, each.started, each.ended) for each in found] == [("a", 1.0, 2.0), ("b", 2.0, 3.0)]


@pytest.mark.parametrize(("made", "known"), [(-400, False), (0, True), (899, True), (1000, False)])
def test_pods_of_another_time_are_not_of_this_boot(made: int, known: bool) -> None:
    found = boot(facts.node(), [facts.pod("rke2-x", made, made, made + 1, ready=made + 2)], [])
    assert ("pod:rke2-x" in found) is known


def test_a_node_that_is_not_ready_or_was_before_has_no_bar() -> None:
    assert "node:server-0" not in boot(facts.node(ready=None), [], [])
    assert "node:server-0" not in boot(facts.node(ready=-300, made=-500), [], [])
    assert "node:server-0" not in boot(None, [], [])
    registered_before = boot(facts.node(ready=5, made=-500), [], [])["node:server-0"]
    assert registered_before.started == 0.0


@pytest.mark.parametrize(
    ("toleration", "waits"),
    [
        ({"operator": "Exists"}, False),
        ({"operator": "Exists", "effect": "NoSchedule"}, False),
        ({"key": "node.kubernetes.io/not-ready", "operator": "Exists"}, False),
        ({"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}, True),
        ({"key": "dedicated", "operator": "Exists"}, True),
    ],
)
def test_a_pod_waits_for_the_node_unless_it_tolerates_one_without_network(
    toleration: dict[str, str], waits: bool
) -> None:
    found = boot(facts.node(), [facts.pod("rke2-x", 10, 10, 11, ready=12, tolerations=[toleration])], [])
    assert ("node:server-0" in found["pod:rke2-x"].requires) is waits


# --- the critical path ------------------------------------------------------------------------------
def test_the_path_goes_from_the_last_pod_over_the_node_and_its_network_to_the_host(
    bars: dict[str, TimelineBar],
) -> None:
    assert critical_path(bars) == [
        "pod:rke2-coredns-rke2-coredns-5-6",
        "node:server-0",
        "pod:rke2-canal-xyz12",
        "pod:helm-install-rke2-canal-abcde",
        "phase:controllers",
        "phase:kube-apiserver",
        "phase:kubelet",
        "phase:content",
        "phase:host",
    ]


def test_without_the_api_the_path_ends_with_the_last_phase() -> None:
    found = {bar.key: bar for bar in of_process(facts.process())}
    assert critical_path(found)[:2] == ["phase:controllers", "phase:kube-apiserver"]


@pytest.mark.parametrize(("one", "other", "last"), [(3.0, 2.0, "phase:a"), (2.0, 3.0, "phase:b")])
def test_of_what_was_required_the_last_one_counts(one: float, other: float, last: str) -> None:
    found = [
        TimelineBar("phase", "a", 0.0, one),
        TimelineBar("phase", "b", 0.0, other),
        TimelineBar("phase", "c", 3.0, 4.0, ("phase:a", "phase:b", "phase:not there")),
    ]
    assert critical_path({bar.key: bar for bar in found}) == ["phase:c", last]


def test_a_circle_ends() -> None:
    found = [TimelineBar("pod", "a", 0.0, 5.0, ("pod:b",)), TimelineBar("pod", "b", 0.0, 5.0, ("pod:a",))]
    assert sorted(critical_path({bar.key: bar for bar in found})) == ["pod:a", "pod:b"]


def test_nothing_that_ended_has_no_path() -> None:
    assert critical_path({"phase:a": TimelineBar("phase", "a", 0.0)}) == []


# --- shown ------------------------------------------------------------------------------------------
def timeline(bars: dict[str, TimelineBar], *, complete: bool = True) -> Timeline:
    return Timeline("server", facts.NODE, facts.STARTED, 12.0, with_critical(bars.values()), complete)


def test_the_text_is_one_axis_with_the_path_marked(bars: dict[str, TimelineBar]) -> None:
    text = as_text(timeline(bars))
    golden = Path(__file__).with_name("timeline.txt")
    assert text + "\n" == golden.read_text()


def test_the_text_says_what_it_lacks(bars: dict[str, TimelineBar]) -> None:
    assert "the API server does not answer" in as_text(timeline(bars, complete=False))


def test_a_boot_that_is_only_beginning_is_shown_too() -> None:
    text = as_text(Timeline("agent", "", facts.STARTED, None, (TimelineBar("phase", "host", 0.0),), False))
    assert "rke2 agent, started" in text
    assert "not READY" in text


def test_json_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = Paths(data_dir=tmp_path)
    ensure_dir(paths.status.parent)
    paths.status.write_bytes(msgspec.json.encode(facts.process()))
    known = ClusterFacts(facts.STARTED, facts.node(), facts.pods(), [])
    monkeypatch.setattr(looking, "_ask", lambda *_: known)
    assert verb.run(["--timeline", "-o", "json", "--data-dir", str(tmp_path)]) == 0
    read = msgspec.convert(json.loads(capsys.readouterr().out), Timeline)
    assert read.complete
    assert [bar.key for bar in read.bars if bar.critical][-1] == "pod:rke2-coredns-rke2-coredns-5-6"
    assert read.bars[0] == TimelineBar("phase", "host", 0.1, 0.5, critical=True)


def test_without_an_api_server_it_shows_the_boot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = Paths(data_dir=tmp_path)
    ensure_dir(paths.status.parent)
    paths.status.write_bytes(msgspec.json.encode(facts.process()))
    assert verb.run(["--timeline", "--data-dir", str(tmp_path)]) == 0
    assert "core.tar.zst" in capsys.readouterr().out


def test_where_no_node_ever_ran_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no node ever ran"):
        verb.run(["--timeline", "--data-dir", str(tmp_path)])


def test_a_wait_without_end_is_left_out() -> None:
    process = facts.process()
    process.phases[0].ended, process.phases[0].waits = None, [Wait(0.2, "x")]
    assert next(of_process(process)).pieces == ()
