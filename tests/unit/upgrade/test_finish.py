"""Raising etcd: what stands in the way, in which order, and that it can be begun again at any point."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from rke2.cli import upgrade_finish
from rke2.errors import EtcdError, UsageError
from rke2.etcd.exchange import EtcdChoice
from rke2.etcd.messages import DOWNGRADE_CANCEL, DOWNGRADE_ENABLE, Header, StatusResponse
from rke2.etcd.minor import EtcdMinor
from rke2.snapshots.request import SnapshotAnswer
from rke2.upgrade.finish import steps
from rke2.upgrade.finish.state import ClusterState, ServerState
from rke2.upgrade.finish.steps import Finish, lowest_former, remaining, target
from tests.unit.upgrade.facts import node

V36, V37 = EtcdMinor(3, 6), EtcdMinor(3, 7)
OLD, NEW = "x/hardened-etcd:v3.6.14", "x/hardened-etcd:v3.7.3"


def server(number: int, running: str = "3.6.14", storage: str = "3.6.0", leader: int = 1) -> ServerState:
    held = running.startswith("3.6")
    return ServerState(
        f"server-{number}",
        f"192.0.2.{number}",
        StatusResponse(Header(member_id=number), running, leader=leader, storage_version=storage),
        EtcdChoice(f"server-{number}", OLD if held else NEW, NEW, held, "" if held else "3.6.14"),
    )


def cluster(*servers: ServerState) -> ClusterState:
    return ClusterState(servers, tuple(node(each.node, "v1.37.2") for each in servers))


WELL = cluster(server(1), server(2), server(3))


def test_the_leader_is_the_last_and_who_is_done_is_left_alone() -> None:
    assert [each.node for each in remaining(WELL, V37)] == ["server-2", "server-3", "server-1"]
    half = cluster(server(1), server(2, "3.7.3"), server(3))
    assert [each.node for each in remaining(half, V37)] == ["server-3", "server-1"]


def test_the_target_is_what_all_releases_bring() -> None:
    assert target(WELL) == V37
    older = replace(server(2), choice=EtcdChoice("server-2", OLD, OLD))
    assert target(cluster(server(1), older)) is None


def test_the_way_back_is_what_all_can_go_to() -> None:
    assert lowest_former(cluster(server(1, "3.7.3"), server(2, "3.7.3"))) == V36
    # Ended in the middle of it.
    assert lowest_former(cluster(server(1, "3.7.3"), server(2))) == V36
    joined = replace(server(2, "3.7.3"), choice=EtcdChoice("server-2", NEW, NEW))
    assert lowest_former(cluster(server(1, "3.7.3"), joined)) is None


def status(**changes: Any) -> StatusResponse:
    known = server(2).status
    assert known
    return replace(known, **changes)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (cluster(server(1), replace(server(2), status=None)), "the member on server-2 does not answer"),
        (
            cluster(server(1), replace(server(2), choice=None)),
            "rke2 on server-2 does not answer on port 9345",
        ),
        (cluster(server(1), replace(server(2), learner=True)), "the member on server-2 is a learner"),
        (cluster(server(1), replace(server(2), status=status(leader=0))), "server-2 knows no leader"),
        (cluster(server(1), replace(server(2), status=status(errors=("NOSPACE",)))), "server-2: NOSPACE"),
        (replace(WELL, nodes=(node("server-1", ready=False),)), "server server-1 is not Ready"),
        (
            replace(WELL, nodes=(node("server-1", "v1.37.2"), node("server-2", "v1.36.4"))),
            "the servers do not run the same release: server-1 v1.37.2, server-2 v1.36.4",
        ),
        (ClusterState(WELL.servers, unasked="no answer"), "Nodes cannot be looked at: no answer"),
    ],
)
def test_what_stands_in_the_way(state: ClusterState, words: str) -> None:
    assert any(words in each for each in state.troubles()), state.troubles()


def test_agents_may_run_the_former_release() -> None:
    assert replace(WELL, nodes=(*WELL.nodes, node("agent-0", "v1.36.4", ready=False))).troubles() == []


@dataclass
class Cluster:
    """Servers in memory, instead of `EtcdServers`: what is tested is the order of questions and words."""

    state: ClusterState = WELL
    done: list[str] = field(default_factory=list)
    stuck: str = ""
    lost: str = ""

    async def look(self) -> ClusterState:
        return self.state

    async def go_on_with(self, which: ServerState, wanted: EtcdMinor) -> None:
        self.done.append(f"{which.node} {wanted}")
        if which.node == self.stuck:
            return
        number, running = int(which.node[-1]), "3.7.3" if wanted == V37 else "3.6.14"
        made = server(number, running)
        if which.node == self.lost:
            made = replace(made, status=None)
        servers = [made if each.node == which.node else each for each in self.state.servers]
        all_new = all(each.minor == V37 for each in servers)
        self._take(servers, "3.7.0" if all_new else "3.6.0")

    def _take(self, servers: list[ServerState], storage: str) -> None:
        told = [replace(each, status=_of_storage(each, storage)) for each in servers]
        self.state = replace(self.state, servers=tuple(told))

    async def snapshot(self, request: bytes, seconds: float) -> bytes:
        self.done.append("snapshot")
        return SnapshotAnswer(created=["before-etcd-3.6-server-1-1"]).encode()

    def client(self) -> Cluster:
        return self

    async def __aenter__(self) -> Cluster:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def downgrade(self, action: int, version: str = "") -> None:
        self.done.append(f"downgrade {action} {version}".strip())
        if action == DOWNGRADE_ENABLE and not self.stuck:
            self._take(list(self.state.servers), f"{version}.0")


def _of_storage(each: ServerState, storage: str) -> StatusResponse | None:
    return replace(each.status, storage_version=storage) if each.status else None


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MEMBER_SECONDS", "SETTLED_SECONDS", "STORAGE_SECONDS"):
        monkeypatch.setattr(steps, name, 0.3)


def work(made: Cluster) -> Finish:
    return Finish(made, lambda text: None, poll=0.01)  # type: ignore[arg-type]


def finish(made: Cluster, *, yes: bool = True) -> None:
    asyncio.run(upgrade_finish._finish(work(made), yes=yes))


def undo(made: Cluster) -> None:
    asyncio.run(upgrade_finish._undo(work(made), yes=True))


def test_a_snapshot_comes_first_and_the_leader_last() -> None:
    made = Cluster()
    finish(made)
    assert made.done == ["snapshot", "server-2 3.7", "server-3 3.7", "server-1 3.7"]


def test_it_goes_on_where_it_was() -> None:
    made = Cluster(cluster(server(1), server(2, "3.7.3"), server(3)))
    finish(made)
    assert made.done == ["snapshot", "server-3 3.7", "server-1 3.7"]


def test_when_all_is_done_nothing_is_touched(capsys: pytest.CaptureFixture[str]) -> None:
    made = Cluster(cluster(*(server(number, "3.7.3", "3.7.0") for number in (1, 2, 3))))
    finish(made)
    assert made.done == []
    assert "nothing is left to do" in capsys.readouterr().out


def test_without_a_yes_nothing_is_touched() -> None:
    made = Cluster()
    with pytest.raises(UsageError, match="nobody can be asked"):
        finish(made, yes=False)
    assert made.done == []


@pytest.mark.parametrize("fault", ["stuck", "lost"])
def test_behind_a_member_that_does_not_come_up_nothing_is_touched(fault: str) -> None:
    made = Cluster(**{fault: "server-2"})  # type: ignore[arg-type]
    with pytest.raises(EtcdError, match="the member on server-2 does not run etcd 3"):
        finish(made)
    assert made.done == ["snapshot", "server-2 3.7"]


def test_a_cluster_that_is_not_well_is_not_touched() -> None:
    made = Cluster(cluster(server(1), server(2), replace(server(3), status=None)))
    with pytest.raises(EtcdError, match="etcd is not touched: the member on server-3 does not answer"):
        finish(made)
    assert made.done == []


def test_servers_of_two_releases_are_told() -> None:
    older = replace(server(2), choice=EtcdChoice("server-2", OLD, OLD))
    with pytest.raises(
        EtcdError, match=r"do not bring the same etcd: server-1 .*v3\.7\.3, server-2 .*v3\.6\.14"
    ):
        finish(Cluster(cluster(server(1), older)))


def test_the_way_back_lowers_the_data_before_any_member() -> None:
    made = Cluster(cluster(*(server(number, "3.7.3", "3.7.0") for number in (1, 2, 3))))
    undo(made)
    assert made.done == ["downgrade 1 3.6", "server-2 3.6", "server-3 3.6", "server-1 3.6"]


def test_a_way_back_that_was_cut_off_does_not_ask_etcd_twice() -> None:
    """etcd refuses the second time."""
    made = Cluster(cluster(server(1, "3.7.3"), server(2), server(3, "3.7.3")))
    undo(made)
    assert made.done == ["server-3 3.6", "server-1 3.6"]


def test_data_that_do_not_follow_call_the_way_back_off() -> None:
    """With a member missing etcd says success, and nothing moves."""
    made = Cluster(cluster(*(server(number, "3.7.3", "3.7.0") for number in (1, 2, 3))), stuck="server-1")
    with pytest.raises(EtcdError, match=r"the data are not of etcd 3\.6 on every member"):
        undo(made)
    assert made.done == ["downgrade 1 3.6", f"downgrade {DOWNGRADE_CANCEL}"]
