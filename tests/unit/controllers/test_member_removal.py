"""Which member goes when, and which never does."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.controllers import member_removal as module
from rke2.controllers.datastore import NODE_ADDRESS, NODE_NAME, REMOVE, REMOVED_NODE_NAME
from rke2.controllers.member_removal import (
    FINALIZER,
    MemberRemoval,
    Refused,
    Step,
    next_step,
    owner,
    remove_member,
)
from rke2.errors import EtcdError
from rke2.kube.client import Client
from rke2.kube.nodes import ETCD_ROLE
from rke2.kube.objects import Object, key_of

from .etcds import UNAVAILABLE, FakeEtcd, member

FIRST = {NODE_NAME: "node1-00000001", NODE_ADDRESS: "192.0.2.1"}


def node(
    annotations: dict[str, str] | None = None,
    *,
    etcd: bool = True,
    finalizers: tuple[str, ...] = (FINALIZER,),
    deleting: bool = False,
) -> Object:
    meta: Object = {"name": "node1", "annotations": annotations or {}, "finalizers": list(finalizers)}
    if etcd:
        meta["labels"] = {ETCD_ROLE: "true"}
    if deleting:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"metadata": meta}


@pytest.mark.parametrize(
    ("given_node", "step"),
    [
        (node(etcd=False, finalizers=()), Step.GUARD),
        (node({**FIRST, REMOVE: "true"}, finalizers=("other",)), Step.GUARD),
        (node(FIRST), Step.NOTHING),
        (node({**FIRST, REMOVE: "true"}), Step.REMOVE),
        (node({**FIRST, REMOVE: "True"}), Step.REMOVE),
        (node({**FIRST, REMOVE: "false"}), Step.NOTHING),
        (node({**FIRST, REMOVE: "true"}, etcd=False), Step.NOTHING),
        (node({NODE_NAME: "node1-00000001", REMOVE: "true"}), Step.NOTHING),
        (node({REMOVE: "true", REMOVED_NODE_NAME: "node1-00000001"}), Step.NOTHING),
        (node({**FIRST, REMOVE: "true", REMOVED_NODE_NAME: "node1-00000001"}), Step.NOTHING),
        (node({**FIRST, REMOVE: "true", REMOVED_NODE_NAME: "node1-ffffffff"}), Step.READMIT),
        (node({**FIRST, REMOVED_NODE_NAME: "node1-ffffffff"}), Step.READMIT),
        (node(FIRST, deleting=True), Step.FINISH),
        (node(etcd=False, deleting=True), Step.FINISH),
        (node(FIRST, deleting=True, finalizers=("other",)), Step.NOTHING),
    ],
)
def test_next_step(given_node: Object, step: Step) -> None:
    assert next_step(given_node) is step


SECOND = {NODE_NAME: "node2-00000002", NODE_ADDRESS: "192.0.2.2"}


def of(
    name: str,
    annotations: dict[str, str],
    created: str = "2026-01-01T00:00:00Z",
    *,
    etcd: bool = True,
    deleting: bool = False,
) -> Object:
    made = node(annotations, etcd=etcd, deleting=deleting)
    made["metadata"] |= {"name": name, "creationTimestamp": created, "uid": name, "resourceVersion": "1"}
    return made


@pytest.mark.parametrize(
    ("nodes", "name"),
    [
        ([of("node1", FIRST)], "node1"),
        ([of("older", FIRST), of("node1", FIRST, "2026-02-01T00:00:00Z")], "node1"),
        ([of("node", FIRST), of("node1-0", FIRST), of("node1", FIRST)], "node1"),
        ([of("newer", FIRST, "2026-02-01T00:00:00Z"), of("older", FIRST)], "older"),
        ([of("b", FIRST), of("a", FIRST)], "a"),
        ([of("renamed", FIRST)], "renamed"),
        ([of("node1", FIRST, etcd=False), of("node2", SECOND)], ""),
        ([of("node1", {**FIRST, NODE_ADDRESS: "192.0.2.9"})], ""),
    ],
)
def test_whose_a_member_is(nodes: list[Object], name: str) -> None:
    assert owner((FIRST[NODE_NAME], FIRST[NODE_ADDRESS]), nodes) == name


class Nodes:
    """The API, as far as a removal needs it: keeps what was patched."""

    def __init__(self) -> None:
        self.patches: list[tuple[str, Object]] = []

    def named(self, component: str) -> Nodes:
        return self

    async def patch(self, resource: object, name: str, patch: Object, **_: object) -> Object:
        self.patches.append((name, patch))
        return {}


@pytest.mark.parametrize("request_by", ["annotation", "deletion"])
async def test_a_node_that_claims_anothers_member_has_none_removed(request_by: str) -> None:
    """What a stolen kubelet certificate of a server can write on its Node, and ask for."""
    etcd, api = FakeEtcd([member(1), member(2)]), Nodes()
    removal = MemberRemoval(cast(Client, api), etcd, "server")
    first = of("node1", FIRST)
    thief = of("thief", {**FIRST, REMOVE: "true"}, deleting=request_by == "deletion")
    for each in (first, thief):
        removal._nodes._store(key_of(each), each)
    await removal._reconcile(key_of(thief))
    assert [each.name for each in await etcd.members()] == ["node1-00000001", "node2-00000002"]
    ((name, _),) = api.patches
    assert name == "thief", "the request is over, and a deletion goes on"


async def test_a_member_is_removed() -> None:
    etcd = FakeEtcd(map(member, (1, 2, 3)))
    await remove_member(etcd, "node2-00000002", "192.0.2.2")
    assert sorted(etcd.present) == [1, 3]


@pytest.mark.parametrize(
    ("name", "address"), [("node9-00000009", "192.0.2.9"), ("node2-00000002", "192.0.2.9")]
)
async def test_only_that_very_member_is_removed(name: str, address: str) -> None:
    etcd = FakeEtcd(map(member, (1, 2, 3)))
    await remove_member(etcd, name, address)
    assert sorted(etcd.present) == [1, 2, 3]


async def test_a_member_that_another_leader_removed_first_is_a_success() -> None:
    etcd = FakeEtcd(map(member, (1, 2)))
    etcd.refusal = EtcdError("etcdserver: member not found", code="NOT_FOUND")
    await remove_member(etcd, "node2-00000002", "192.0.2.2")


@pytest.mark.parametrize(
    "refusal",
    [
        EtcdError("etcdserver: re-configuration failed due to not enough started members",
                  code="FAILED_PRECONDITION"),
        EtcdError("etcdserver: unhealthy cluster", code="UNAVAILABLE"),
    ],
)  # fmt: skip
async def test_what_etcd_refuses_is_refused(refusal: EtcdError, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    etcd = FakeEtcd(map(member, (1, 2)))
    etcd.refusal = refusal
    with pytest.raises(Refused, match=r"node2-00000002 cannot be removed: etcdserver"):
        await remove_member(etcd, "node2-00000002", "192.0.2.2")


async def test_a_cluster_that_has_just_connected_is_given_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.001)
    etcd = FakeEtcd(map(member, (1, 2, 3)))
    etcd.refusal = EtcdError("etcdserver: unhealthy cluster", code="UNAVAILABLE")
    removal = asyncio.create_task(remove_member(etcd, "node2-00000002", "192.0.2.2"))
    async with asyncio.timeout(5):
        while etcd.asked < 4:
            await asyncio.sleep(0.001)
        assert 2 in etcd.present
        etcd.refusal = None
        await removal
    assert sorted(etcd.present) == [1, 3]


async def test_an_outage_is_no_refusal() -> None:
    etcd = FakeEtcd(map(member, (1, 2)))
    etcd.refusal = UNAVAILABLE
    with pytest.raises(EtcdError):
        await remove_member(etcd, "node2-00000002", "192.0.2.2")


@pytest.mark.parametrize("learners", [(), (2,), (2, 3)])
async def test_the_last_voter_is_refused(learners: tuple[int, ...]) -> None:
    etcd = FakeEtcd([member(1), *(member(number, learner=True) for number in learners)])
    with pytest.raises(Refused, match="last voter"):
        await remove_member(etcd, "node1-00000001", "192.0.2.1")
    assert 1 in etcd.present


@given(learners=st.sets(st.integers(1, 3)), chosen=st.integers(1, 3))
async def test_there_is_always_a_voter_left(learners: set[int], chosen: int) -> None:
    etcd = FakeEtcd(member(number, learner=number in learners) for number in (1, 2, 3))
    try:
        await remove_member(etcd, f"node{chosen}-{chosen:08x}", f"192.0.2.{chosen}")
    except Refused:
        assert {1, 2, 3} - learners == {chosen}
    else:
        assert chosen not in etcd.present
    assert learners == {1, 2, 3} or any(not each.is_learner for each in etcd.present.values())
