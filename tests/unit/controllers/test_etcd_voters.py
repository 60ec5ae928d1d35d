"""The etcd leader writes the condition of those that do not write it themselves, and of no others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from rke2.controllers.datastore import NODE_NAME
from rke2.controllers.etcd_voters import EtcdVoters, neglected, standing_of
from rke2.kube.client import Client, Page
from rke2.kube.nodes import ETCD_ROLE
from rke2.kube.objects import Object

from .etcds import UNAVAILABLE, FakeEtcd, member

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def node(number: int, *, age: timedelta | None, created: timedelta = timedelta(days=1)) -> Object:
    """Node ``node<number>`` whose condition was written `age` ago; None for one without."""
    conditions = []
    if age is not None:
        heartbeat = (NOW - age).isoformat()
        conditions = [
            {
                "type": "EtcdIsVoter",
                "status": "True",
                "reason": "MemberNotLearner",
                "lastHeartbeatTime": heartbeat,
                "lastTransitionTime": heartbeat,
            }
        ]
    meta = {
        "name": f"node{number}",
        "labels": {ETCD_ROLE: "true"},
        "annotations": {NODE_NAME: f"node{number}-{number:08x}"},
        "creationTimestamp": (NOW - created).isoformat(),
    }
    return {"metadata": meta, "status": {"conditions": conditions}}


@pytest.mark.parametrize(
    ("age", "created", "expected"),
    [
        (timedelta(minutes=4, seconds=30), timedelta(days=1), False),
        (timedelta(minutes=5), timedelta(days=1), True),
        (None, timedelta(days=1), True),
        (None, timedelta(minutes=1), False),
    ],
)
def test_only_what_nobody_writes(age: timedelta | None, created: timedelta, expected: bool) -> None:
    assert neglected(node(1, age=age, created=created), NOW) is expected


async def test_a_voter_that_does_not_answer_is_unhealthy() -> None:
    etcd = FakeEtcd([member(1), member(2), member(3, learner=True)])
    etcd.silent = {"https://192.0.2.2:2379"}
    names = [f"node{number}-{number:08x}" for number in (1, 2, 3, 4)]
    found = [(await standing_of(etcd, name)).reason for name in names]
    assert found == ["MemberNotLearner", "Unhealthy", "MemberIsLearner", "NotAMember"]
    etcd.fault = UNAVAILABLE
    assert (await standing_of(etcd, names[0])).reason == "Unhealthy"


class API:
    """The Nodes, and what is written to them."""

    def __init__(self, *nodes: Object) -> None:
        self.nodes, self.written = nodes, dict[str, Any]()

    async def list(self, *_: Any, label_selector: str) -> Page:
        assert label_selector == ETCD_ROLE
        return Page(list(self.nodes), "1")

    async def patch(self, _: Any, name: str, patch: Any, *__: Any, subresource: str) -> None:
        assert subresource == "status"
        (self.written[name],) = patch["status"]["conditions"]


async def test_the_leader_writes_for_the_others_alone() -> None:
    own, theirs, fresh = node(1, age=timedelta(minutes=2)), node(2, age=None), node(3, age=timedelta(hours=1))
    api, etcd = API(own, theirs, fresh), FakeEtcd([member(1), member(2), member(3)])
    etcd.silent = {"https://192.0.2.3:2379"}
    await EtcdVoters(cast(Client, api), etcd)._look(NOW)
    assert {name: (each["status"], each["reason"]) for name, each in api.written.items()} == {
        "node2": ("True", "MemberNotLearner"),
        "node3": ("False", "Unhealthy"),
    }
    assert api.written["node3"]["lastTransitionTime"] == api.written["node3"]["lastHeartbeatTime"]
