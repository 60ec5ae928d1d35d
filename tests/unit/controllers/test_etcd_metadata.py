"""What the own Node says of its etcd member."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from rke2.controllers.datastore import NODE_ADDRESS, NODE_NAME, REMOVED_NODE_NAME
from rke2.controllers.etcd_metadata import OwnMember, Standing, condition_patch, look, metadata_patch
from rke2.errors import EtcdError
from rke2.kube.nodes import ETCD_ROLE
from rke2.kube.objects import Object

from .etcds import UNAVAILABLE, FakeEtcd, member

OWN = OwnMember("node1-00000001", "192.0.2.1")
RIGHT: Object = {
    "labels": {ETCD_ROLE: "true", "other": "x"},
    "annotations": {NODE_NAME: OWN.name, NODE_ADDRESS: OWN.address, "other": "x"},
}


def test_a_new_member_is_labelled_and_annotated() -> None:
    assert metadata_patch({"metadata": {}}, OWN) == {
        "labels": {"node-role.kubernetes.io/etcd": "true"},
        "annotations": {
            "etcd.rke2.cattle.io/node-name": "node1-00000001",
            "etcd.rke2.cattle.io/node-address": "192.0.2.1",
        },
    }


def test_what_is_right_is_not_written() -> None:
    assert metadata_patch({"metadata": RIGHT}, OWN) == {}


def test_only_what_is_wrong_is_written() -> None:
    renamed = OwnMember("node1-00000002", OWN.address)
    assert metadata_patch({"metadata": RIGHT}, renamed) == {"annotations": {NODE_NAME: "node1-00000002"}}


def test_without_etcd_everything_goes() -> None:
    assert metadata_patch({"metadata": RIGHT}, None) == {
        "labels": {ETCD_ROLE: None},
        "annotations": {NODE_NAME: None, NODE_ADDRESS: None},
    }
    assert metadata_patch({"metadata": {"labels": {"other": "x"}}}, None) == {}


def test_a_removed_member_does_not_come_back_by_its_annotations() -> None:
    removed = {"labels": {ETCD_ROLE: "true"}, "annotations": {REMOVED_NODE_NAME: OWN.name}}
    assert metadata_patch({"metadata": removed}, OWN) == {}
    again = OwnMember("node1-00000002", OWN.address)
    assert metadata_patch({"metadata": removed}, again) == {
        "annotations": {NODE_NAME: again.name, NODE_ADDRESS: again.address}
    }


@pytest.mark.parametrize(
    ("etcd", "voter", "reason"),
    [
        (FakeEtcd([member(1)]), True, "MemberNotLearner"),
        (FakeEtcd([member(1, learner=True), member(2)]), False, "MemberIsLearner"),
        (FakeEtcd([member(2)]), False, "NotAMember"),
    ],
)
async def test_standing(etcd: FakeEtcd, voter: bool, reason: str) -> None:
    standing = await look(etcd, OWN.name)
    assert (standing.voter, standing.reason) == (voter, reason)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (UNAVAILABLE, "Unhealthy"),
        (EtcdError("etcdserver: rpc not supported for learner", code="UNAVAILABLE"), "MemberIsLearner"),
    ],
)
async def test_standing_when_the_member_does_not_tell(fault: EtcdError, reason: str) -> None:
    etcd = FakeEtcd([member(1)])
    etcd.fault = fault
    assert (await look(etcd, OWN.name)).reason == reason


VOTER = Standing(True, "MemberNotLearner", "voter")
THEN = "2026-01-01T00:00:00Z"


def with_condition(status: str, reason: str) -> Object:
    condition = {
        "type": "EtcdIsVoter",
        "status": status,
        "reason": reason,
        "lastHeartbeatTime": THEN,
        "lastTransitionTime": THEN,
    }
    return {"status": {"conditions": [{"type": "Ready", "status": "True"}, condition]}}


def after(**age: float) -> datetime:
    return datetime.fromisoformat(THEN) + timedelta(**age)


def test_the_condition_is_written_when_it_changes() -> None:
    fresh = condition_patch({"status": {"conditions": [{"type": "Ready"}]}}, VOTER, after(seconds=1))
    assert fresh is not None
    assert (fresh["type"], fresh["status"], fresh["reason"]) == ("EtcdIsVoter", "True", "MemberNotLearner")
    changed = condition_patch(with_condition("False", "MemberIsLearner"), VOTER, after(seconds=1))
    assert changed is not None and changed["lastTransitionTime"] != THEN
    other_reason = Standing(False, "Unhealthy", "x")
    kept = condition_patch(with_condition("False", "NotAMember"), other_reason, after(seconds=1))
    assert kept is not None and kept["reason"] == "Unhealthy" and kept["lastTransitionTime"] == THEN


def test_the_heartbeat_is_never_older_than_five_minutes() -> None:
    node = with_condition("True", "MemberNotLearner")
    assert condition_patch(node, VOTER, after(minutes=2)) is None
    beat = condition_patch(node, VOTER, after(minutes=4, seconds=44))
    assert beat is not None
    assert beat["lastHeartbeatTime"] != THEN and beat["lastTransitionTime"] == THEN
