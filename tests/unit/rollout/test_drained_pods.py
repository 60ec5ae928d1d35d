"""Which pods of a node are moved away; the drain itself is in tests/integration/rollout."""

from __future__ import annotations

from typing import Any

import pytest

from rke2.kube.objects import Object
from rke2.rollout.drain import select
from rke2.rollout.plan import DrainSpec
from rke2.rollout.selectors import LabelSelector

from .worlds import START


def pod(name: str, owner: str = "ReplicaSet", phase: str = "Running", **meta: Any) -> Object:
    owners = [{"kind": owner, "controller": True}] if owner else []
    return {
        "metadata": {"name": name, "namespace": "n", "ownerReferences": owners, **meta},
        "spec": {"volumes": [{"name": "v", "emptyDir": {}}]},
        "status": {"phase": phase},
    }


PODS = [
    pod("app", labels={"app": "a"}),
    pod("daemon", "DaemonSet"),
    pod("daemon-ended", "DaemonSet", "Failed"),
    pod("alone", ""),
    pod("alone-ended", "", "Succeeded"),
    pod("static", "Node", annotations={"kubernetes.io/config.mirror": "x"}),
    pod("of-a-plan", "Job", labels={"upgrade.cattle.io/controller": "x"}),
    pod("ending", deletionTimestamp="2026-11-30T11:59:00Z"),
]


@pytest.mark.parametrize(
    ("spec", "evicted", "refused"),
    [
        (DrainSpec(), "app daemon-ended alone-ended ending", "alone"),
        (DrainSpec(force=True), "app daemon-ended alone alone-ended ending", ""),
        (DrainSpec(ignore_daemon_sets=False), "app daemon-ended alone-ended ending", "alone daemon"),
        (DrainSpec(delete_emptydir_data=False), "daemon-ended alone-ended", "alone app ending"),
        (DrainSpec(delete_local_data=False), "daemon-ended alone-ended", "alone app ending"),
        (DrainSpec(skip_wait_for_delete_timeout=30), "app daemon-ended alone-ended", "alone"),
        (DrainSpec(skip_wait_for_delete_timeout=90), "app daemon-ended alone-ended ending", "alone"),
        (DrainSpec(pod_selector=LabelSelector({"app": "a"})), "app", ""),
    ],
)
def test_which_pods_go(spec: DrainSpec, evicted: str, refused: str) -> None:
    selection = select(PODS, spec, START)
    assert [each["metadata"]["name"] for each in selection.evict] == evicted.split()
    assert sorted(key.name for key in selection.refused) == refused.split()
