from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from rke2.errors import EtcdError, JoinError
from rke2.etcd import membership
from rke2.etcd.membership import Self, candidates, join
from rke2.etcd.messages import Member
from rke2.etcd.removal import removed_from_cluster
from tests.configs import paths_under, server_config
from tests.unit.etcd.cluster import Cluster, member, unavailable

OWN = Self("n9", "n9-00000001", "https://192.0.2.9:2380")
OLD = member(9)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "AGAIN", 0)


async def joined(cluster: Cluster, tmp_path: Path, said: list[str] | None = None) -> str:
    async def discover() -> Sequence[Member]:
        return cluster.all

    config = server_config(paths_under(tmp_path))
    say = (said if said is not None else []).append
    options = await join(config, OWN, discover, connect=cluster.connect, say=say)
    assert (options.advertise_peer_url, options.state) == (OWN.peer_url, "existing")
    return options.cluster


async def test_a_server_is_added_and_started_beside_those_that_have_a_name(tmp_path: Path) -> None:
    cluster = Cluster((member(1), member(2)))
    assert await joined(cluster, tmp_path) == (
        "n1-00000001=https://192.0.2.1:2380,n2-00000002=https://192.0.2.2:2380,"
        "n9-00000001=https://192.0.2.9:2380"
    )
    assert await joined(cluster, tmp_path), "the member that was added is unnamed and ours"
    assert len(cluster.all) == 3


def test_the_joined_server_is_asked_first_and_never_a_learner_or_ourselves() -> None:
    members = [member(1), member(2), member(3, is_learner=True), member(9)]
    assert candidates(members, OWN, "192.0.2.2") == ["https://192.0.2.2:2379", "https://192.0.2.1:2379"]
    assert candidates(members, OWN, "name.example") == ["https://192.0.2.1:2379", "https://192.0.2.2:2379"]
    sixth = replace(member(6), client_urls=("https://[2001:db8::6]:2379",))
    assert candidates([member(1), sixth], OWN, "2001:db8::6")[0] == "https://[2001:db8::6]:2379"


@pytest.mark.parametrize(
    ("code", "message", "reason"),
    [
        ("FAILED_PRECONDITION", "etcdserver: too many learner members in cluster", "one at a time"),
        ("UNAVAILABLE", "etcdserver: unhealthy cluster", "not all its members"),
        ("FAILED_PRECONDITION", "re-configuration failed due to not enough started members", "not started"),
        ("UNAVAILABLE", "cannot connect: Connection refused", "Connection refused"),
        ("DEADLINE_EXCEEDED", "no answer to Cluster/MemberAdd within 60 s", "no answer"),
    ],
)
async def test_what_ends_by_itself_is_waited_for_with_its_reason(
    tmp_path: Path, code: str, message: str, reason: str
) -> None:
    said: list[str] = []
    refusal = EtcdError(message, code=code)
    assert await joined(Cluster((member(1),), refusals=[refusal, refusal]), tmp_path, said)
    assert len(said) == 2
    assert reason in said[0]


async def test_a_member_list_that_fails_is_asked_for_again(tmp_path: Path) -> None:
    said: list[str] = []
    cluster = Cluster((member(1),), list_failures=[unavailable(), EtcdError("x", code="FAILED_PRECONDITION")])
    assert await joined(cluster, tmp_path, said)
    assert len(said) == 2


async def test_another_refusal_is_final(tmp_path: Path) -> None:
    refusal = EtcdError("etcdserver: permission denied", code="PERMISSION_DENIED")
    with pytest.raises(EtcdError, match="permission denied"):
        await joined(Cluster((member(1),), refusals=[refusal]), tmp_path)


async def test_a_server_to_join_that_fails_is_asked_again_and_one_that_refuses_is_not(tmp_path: Path) -> None:
    errors = [JoinError("no quorum", status=500), JoinError("gone"), JoinError("token is wrong", status=401)]
    said: list[str] = []

    async def discover() -> Sequence[Member]:
        raise errors.pop(0)

    with pytest.raises(JoinError, match="token is wrong"):
        await join(server_config(paths_under(tmp_path)), OWN, discover, say=said.append)
    assert ["no quorum" in said[0], "gone" in said[1]] == [True, True]


async def test_a_name_at_another_address_is_refused_and_forgotten(tmp_path: Path) -> None:
    name = server_config(paths_under(tmp_path)).paths.etcd / "name"
    name.parent.mkdir(parents=True)
    name.write_text(OWN.name)
    other = replace(member(3), name="n9-deadbeef")
    with pytest.raises(JoinError) as error:
        await joined(Cluster((member(1), other)), tmp_path)
    assert error.value.message == "duplicate node name found, please use a unique name for this node"
    assert "n9-deadbeef at https://192.0.2.3:2380" in error.value.remedy
    assert not name.exists()


async def test_a_name_that_only_begins_alike_is_another_node(tmp_path: Path) -> None:
    other = replace(member(3), name="n9-db-deadbeef")
    assert await joined(Cluster((member(1), other)), tmp_path)


# --- a server that lost its data -------------------------------------------------------------------


@pytest.mark.parametrize("name", [OLD.name, OWN.name])
async def test_a_dead_predecessor_is_replaced(tmp_path: Path, name: str) -> None:
    cluster = Cluster((member(1), member(2), replace(OLD, name=name)), up={1, 2})
    assert await joined(cluster, tmp_path)
    assert [each.is_learner for each in cluster.all] == [False, False, True]


async def test_a_dead_learner_is_replaced_whoever_is_down(tmp_path: Path) -> None:
    assert await joined(Cluster((member(1), replace(OLD, is_learner=True))), tmp_path)


@pytest.mark.parametrize(
    ("others", "up", "why"),
    [
        ((member(1), member(2)), {1, 2, 9}, "it still answers"),
        ((member(1), member(2)), {1}, "only 1 of the 2 other voting members answer"),
        # Both of two must agree to remove one of them.
        ((member(1),), {1}, "only 1 of the 1 other voting members answer"),
    ],
)
async def test_a_predecessor_is_not_replaced_if_that_is_not_safe(
    tmp_path: Path, others: tuple[Member, ...], up: set[int], why: str
) -> None:
    cluster = Cluster((*others, OLD), up)
    with pytest.raises(JoinError, match="duplicate node name found") as error:
        await joined(cluster, tmp_path)
    assert why in error.value.remedy
    assert OLD in cluster.all


async def test_another_nodes_address_is_refused(tmp_path: Path) -> None:
    cluster = Cluster((member(1), member(2), replace(OLD, name="other-00000000")), up={1, 2})
    with pytest.raises(JoinError, match=r"other-00000000 has the address of this server"):
        await joined(cluster, tmp_path)


# --- being removed ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "removed"),
    [
        ((member(1), member(2)), True),
        ((member(1), replace(OLD, name=OWN.name)), False),
        ((member(1), replace(OLD, name="", is_learner=True)), False),
        ((member(1), replace(OLD, name=OWN.name, peer_urls=("https://moved:2380",))), False),
    ],
)
async def test_out_is_who_is_in_no_list(members: tuple[Member, ...], removed: bool) -> None:
    known = (member(1), OLD)
    assert await removed_from_cluster(OWN, known, Cluster(members).connect) is removed


async def test_silence_is_no_removal() -> None:
    silent = Cluster((member(1),), list_failures=[unavailable()])
    assert not await removed_from_cluster(OWN, (member(1),), silent.connect)
    assert not await removed_from_cluster(OWN, (OLD,), Cluster((member(1),)).connect)
    assert not await removed_from_cluster(OWN, (), Cluster((member(1),)).connect)


def test_the_peer_url_of_a_server_has_its_first_address() -> None:
    config = server_config(node={"name": "n6", "ips": (ip_address("2001:db8::6"), ip_address("192.0.2.6"))})
    assert Self.of(config, "n6-0") == Self("n6", "n6-0", "https://[2001:db8::6]:2380")
