from collections.abc import Sequence
from typing import Any

import pytest

from rke2.addons.helm import report
from rke2.addons.helm.model import Chart, ChartSpec
from rke2.status import settled

Object = dict[str, Any]


def unsettled(items: list[Object], manifests: Sequence[str] = (), lost: Sequence[str] = ()) -> list[str]:
    return list(map(str, settled.unsettled(items, manifests, lost)))


def _object(kind: str, name: str, **rest: Any) -> Object:
    return {"kind": kind, "metadata": {"name": name, **rest.pop("metadata", {})}, **rest}


def _job(name: str, *, complete: bool) -> Object:
    conditions = [{"type": "Complete", "status": "True"}] if complete else []
    return _object("Job", name, status={"conditions": conditions})


def _pod(phase: str, *, ready: bool = True, waiting: str = "", **metadata: Any) -> Object:
    state = {"waiting": {"reason": waiting}} if waiting else {"running": {}}
    status = {"phase": phase, "containerStatuses": [{"ready": ready, "state": state}]}
    return _object("Pod", "p", status=status, metadata=metadata)


def _daemonset(ready: int, wanted: int, observed: int = 1) -> Object:
    status = {"numberReady": ready, "desiredNumberScheduled": wanted, "observedGeneration": observed}
    return _object("DaemonSet", "d", status=status, metadata={"generation": 1})


def _deployment(ready: int) -> Object:
    return _object("Deployment", "d", spec={"replicas": 2}, status={"readyReplicas": ready} if ready else {})


@pytest.mark.parametrize(
    "item",
    [
        _job("j", complete=True),
        _pod("Running"),
        _pod("Succeeded", ready=False),
        _pod("Failed", ready=False, ownerReferences=[{"kind": "Job"}]),
        _daemonset(2, 2),
        _daemonset(0, 0),
        _deployment(2),
        _object("Deployment", "off", spec={"replicas": 0}, status={}),
    ],
)
def test_settled(item: Object) -> None:
    assert unsettled([item]) == []


@pytest.mark.parametrize(
    ("item", "line"),
    [
        (_job("j", complete=False), "job j: not completed"),
        (_job("helm-delete-c", complete=False), "chart c: being removed"),
        (_pod("Pending", ready=False, waiting="ImagePullBackOff"), "pod p: ImagePullBackOff"),
        (_pod("Running", ready=False), "pod p: Running"),
        (_pod("Failed", ready=False), "pod p: Failed"),
        (_object("Pod", "p"), "pod p: Unknown"),
        (_daemonset(1, 2), "daemonset d: 1 of 2 ready"),
        (_daemonset(0, 0, observed=0), "daemonset d: not scheduled yet"),
        (_deployment(0), "deployment d: 0 of 2 ready"),
        (_object("HelmChart", "rke2-coredns"), "chart rke2-coredns: not installed yet"),
    ],
)
def test_unsettled(item: Object, line: str) -> None:
    assert unsettled([item]) == [line]


def test_a_pod_in_trouble_comes_first() -> None:
    job, usual = _job("j", complete=False), _pod("Pending", ready=False, waiting="ContainerCreating")
    items = [
        job,
        usual | {"metadata": {"name": "q"}},
        _pod("Pending", ready=False, waiting="ImagePullBackOff"),
    ]
    assert unsettled(items) == ["pod p: ImagePullBackOff", "job j: not completed", "pod q: ContainerCreating"]


def test_what_holds_up_an_init_container_is_told() -> None:
    pod = _pod("Pending", ready=False, waiting="PodInitializing")
    pod["status"]["initContainerStatuses"] = [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]
    assert unsettled([pod]) == ["pod p: CrashLoopBackOff"]


def test_a_chart_is_settled_by_its_job() -> None:
    chart = _object("HelmChart", "c")
    assert unsettled([chart, _job("helm-install-c", complete=True)]) == []
    assert unsettled([chart, _job("helm-install-c", complete=False)]) == ["chart c: being installed"]


def _helm_pod(created: str, why: str) -> Object:
    failure = {"exitCode": 1, "message": f"helm-job: running\nhelm-job: {why}\n"}
    status = {"ready": False, "state": {"waiting": {}}, "lastState": {"terminated": failure}}
    labels = {"helmcharts.helm.cattle.io/chart": "c"}
    metadata = {"labels": labels, "creationTimestamp": created}
    return _object(
        "Pod", created, metadata=metadata, status={"phase": "Succeeded", "containerStatuses": [status]}
    )


def test_why_a_chart_is_not_installed_is_told() -> None:
    chart, job = _object("HelmChart", "c"), _job("helm-install-c", complete=False)
    old, new = (
        _helm_pod("1", "helm upgrade failed"),
        _helm_pod("2", "helm install failed:\n\t* no such\n field"),
    )
    (found,) = settled.unsettled([new, old, chart, job])
    assert str(found) == "chart c: failing"
    assert found.why == "helm install failed: * no such field"


def test_for_which_chart_another_one_waits_is_told() -> None:
    waiting = {"type": "Failed", "status": "False", "reason": "WaitForChart", "message": "Waiting for c-crd"}
    chart = _object("HelmChart", "c", status={"conditions": [waiting]})
    (found,) = settled.unsettled([chart, _job("helm-install-c", complete=False)])
    assert (str(found), found.why, found.in_trouble) == ("chart c: not begun", "Waiting for c-crd", False)


def test_a_chart_that_waits_for_the_upgrade_of_others_is_not_settled() -> None:
    """Its job is that of the earlier version, which is complete."""
    status = report.queued_status(Chart("c", "kube-system", ChartSpec()))
    (found,) = settled.unsettled(
        [_object("HelmChart", "c", status=status), _job("helm-install-c", complete=True)]
    )
    assert (str(found), found.why) == ("chart c: not begun", report.QUEUED)


@pytest.mark.parametrize("complete", [True, False])
def test_a_chart_waiting_for_its_next_try_is_not_settled(complete: bool) -> None:
    failed = {
        "type": "Failed",
        "status": "False",
        "reason": "Release not deployed",
        "message": "it is failed",
    }
    chart = _object("HelmChart", "c", status={"conditions": [failed]})
    job = _job("helm-install-c", complete=complete)
    assert [found.why for found in settled.unsettled([chart, job])] == ["it is failed"]
    assert [found.why for found in settled.unsettled([chart, job, _helm_pod("1", "no")])] == ["no"]


def test_a_chart_that_goes_is_told_until_it_has_gone() -> None:
    chart = _object("HelmChart", "c", metadata={"deletionTimestamp": "now"})
    assert unsettled([chart]) == ["chart c: to be removed"]
    assert unsettled([chart, _job("helm-delete-c", complete=False)]) == ["chart c: being removed"]


def test_a_manifest_counts_as_applied_once_its_addon_has_a_checksum() -> None:
    addon = _object("Addon", "rke2-canal", spec={})
    assert unsettled([addon], ["rke2-canal"]) == ["manifest rke2-canal: not applied yet"]
    assert unsettled([{**addon, "spec": {"checksum": "00"}}], ["rke2-canal"]) == []


def test_pods_on_lost_nodes_are_not_waited_for() -> None:
    lost = _pod("Running", ready=False, ownerReferences=[{"kind": "DaemonSet", "name": "d"}])
    lost["spec"] = {"nodeName": "gone"}
    assert unsettled([lost, _daemonset(1, 2)], lost=["gone"]) == []
    assert unsettled([lost, _daemonset(1, 3)], lost=["gone"]) == ["daemonset d: 1 of 2 ready"]
    assert unsettled([lost, _daemonset(1, 2)]) == ["pod p: Running", "daemonset d: 1 of 2 ready"]


def _lost_replica() -> Object:
    owners = [{"kind": "ReplicaSet", "name": "d-5f"}]
    pod = _pod("Running", ready=False, labels={"pod-template-hash": "5f"}, ownerReferences=owners)
    return pod | {"spec": {"nodeName": "gone"}}


def test_replicas_on_lost_nodes_are_not_waited_for_but_one_elsewhere_is() -> None:
    one, waiting = _lost_replica(), ["deployment d: 0 of 1 ready"]
    assert unsettled([one, _deployment(1)], lost=["gone"]) == []
    assert unsettled([one, _deployment(0)], lost=["gone"]) == waiting
    assert unsettled([one, one, _deployment(0)], lost=["gone"]) == waiting
