"""What is asked for of a workload that is not ready, and what of the answers is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rke2.causes.logs import before_its_end
from rke2.causes.pods import Why
from rke2.status.reasons import MOST, Sources, reasons
from rke2.status.settled import unsettled, without_pods
from tests.unit.causes.recorded import crashes, ended, event, pod, waits

FORBIDDEN = (
    'pods "d-" is forbidden: exceeded quota: compute, requested: cpu=100m, used: cpu=0, limited: cpu=0'
)
MOUNT = 'MountVolume.SetUp failed for volume "v" : configmap "missing" not found'


class Asked:
    """Events by uid, and whose were asked for."""

    def __init__(self, **events: Sequence[Any]) -> None:
        self.events, self.asked = events, list[str]()

    def __call__(self, uid: str) -> list[Any]:
        self.asked.append(uid)
        return list(self.events.get(uid, ()))


def creating(uid: str, **metadata: Any) -> Any:
    return pod(waits("ContainerCreating"), metadata={"name": uid, "uid": uid, **metadata})


def daemonset(ready: int = 0) -> Any:
    status = {"observedGeneration": 1, "desiredNumberScheduled": 1, "numberReady": ready}
    return {"kind": "DaemonSet", "metadata": {"name": "d", "uid": "d"}, "status": status}


def test_events_of_what_is_open_are_asked_for() -> None:
    asked = Asked(a=[event("FailedMount", MOUNT)])
    clear = pod(waits("ErrImagePull", "no route"), metadata={"name": "b", "uid": "b"})
    found = reasons([creating("a"), clear], (), Sources(asked))
    assert asked.asked == ["a"]
    assert found["pod", "a"] == Why('volume "v": configmap "missing" not found')
    assert found["pod", "b"].words.endswith("no route")


def test_of_many_pods_some_are_asked_about() -> None:
    asked, logs = Asked(), list[str]()

    def last_words(of: Any, status: Any) -> str:
        logs.append(of["metadata"]["uid"])
        return "no"

    pods = [pod(crashes(ended(1)), metadata={"name": f"p{n}", "uid": f"p{n}"}) for n in range(MOST + 5)]
    found = reasons(pods, (), Sources(asked, last_words))
    assert len(asked.asked) == len(logs) == MOST
    assert len(found) == len(pods)


def test_a_controller_that_may_make_no_pods_says_why() -> None:
    controller = daemonset()
    assert without_pods([controller, daemonset(ready=1)]) == [controller]
    asked = Asked(d=[event("FailedCreate", FORBIDDEN)])
    found = reasons((), [controller], Sources(asked))
    (late,) = unsettled([controller], reasons=found)
    assert (late.kind, late.why, late.in_trouble) == ("daemonset", FORBIDDEN, True)


def test_a_deployment_says_it_in_a_condition() -> None:
    conditions = [{"type": "ReplicaFailure", "message": FORBIDDEN}]
    deployment = {
        "kind": "Deployment",
        "metadata": {"name": "d", "uid": "d"},
        "spec": {},
        "status": {"conditions": conditions},
    }
    found = reasons((), without_pods([deployment]), Sources())
    assert found["deployment", "d"].words == FORBIDDEN


def test_the_cause_of_a_pod_is_its_workloads() -> None:
    owned = creating("a", ownerReferences=[{"kind": "DaemonSet", "name": "d"}])
    assert without_pods([daemonset(), owned]) == []
    found = reasons([owned], (), Sources(Asked(a=[event("FailedMount", MOUNT)])))
    why = 'volume "v": configmap "missing" not found'
    assert [(each.kind, each.why) for each in unsettled([daemonset(), owned], reasons=found)] == [
        ("daemonset", why),
        ("pod", why),
    ]


def test_a_chart_has_the_cause_of_its_jobs_pod() -> None:
    job = {"kind": "Job", "metadata": {"name": "helm-install-c", "uid": "j"}, "status": {}}
    chart = {"kind": "HelmChart", "metadata": {"name": "c"}}
    waiting = creating("a", ownerReferences=[{"kind": "Job", "name": "helm-install-c"}])
    found = reasons([waiting], (), Sources(Asked(a=[event("FailedMount", MOUNT)])))
    first = unsettled([chart, job, waiting], reasons=found)[0]
    assert (str(first), first.why) == (
        "chart c: being installed",
        'volume "v": configmap "missing" not found',
    )


def test_what_passes_by_itself_is_no_trouble() -> None:
    pulls = creating("a")
    found = reasons([pulls], (), Sources(Asked(a=[event("Pulling", "Pulling image")])))
    (late,) = unsettled([pulls], reasons=found)
    assert (late.why, late.in_trouble) == ("Pulling image", False)


def test_the_log_of_the_run_that_ended_is_read(tmp_path: Path) -> None:
    directory = tmp_path / "kube-system_p_1-2-3/c"
    directory.mkdir(parents=True)
    for number, words in enumerate(("first", "second", "third", "Error: fourth")):
        (directory / f"{number}.log").write_text(f"2026-11-26T08:57:22.5Z stderr F {words}\n")
    crashed = crashes(ended(1))
    assert before_its_end(pod(crashed), crashed, pods=tmp_path) == "Error: fourth"
    runs = {**crashed, "state": {"running": {}}}
    assert before_its_end(pod(runs), runs, pods=tmp_path) == "third"
    assert before_its_end(pod(crashed), crashed, pods=tmp_path / "none") == ""
