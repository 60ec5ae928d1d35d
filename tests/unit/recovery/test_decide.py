"""What follows from what is known of a restore: one rule at a time."""

from __future__ import annotations

import pytest

from rke2.recovery import decide
from rke2.recovery.decide import AWAY_SECONDS, ServerSeen
from rke2.recovery.state import MemberIdentity, OtherServer, Rejoin, Restore, Step
from rke2.recovery.wire import Answer, Restored

A, B = OtherServer("a", "10.0.0.1"), OtherServer("b", "10.0.0.2")
RESTORE = Restore("1", "/s", 0.0, "c0", (A, B))


def at(step: Step) -> Restore:
    return Restore("1", "/s", 0.0, "c0", (A, B), step)


@pytest.mark.parametrize(
    ("step", "part"),
    [
        ("planned", "leads"),
        ("stopping", "leads"),
        ("changing", "leads"),
        ("restored", "usual"),
        ("done", "usual"),
        ("failed", "usual"),
    ],
)
def test_a_start_goes_on_where_the_last_one_was(step: Step, part: str) -> None:
    assert decide.part_of(at(step), None) == part
    expected = part if part == "leads" else "rejoins"
    assert decide.part_of(at(step), Rejoin("2", "https://x")) == expected
    assert decide.part_of(None, None) == "usual"


def states(*seen: ServerSeen | None) -> tuple[list[str], str]:
    looks = {each.name: look for each, look in zip((A, B), seen, strict=False) if look}
    made = decide.stopping((A, B), looks)
    return [each.state for each in made.servers], made.waiting


def test_all_others_have_to_stop() -> None:
    assert states() == (["", ""], "a: not asked yet; b: not asked yet")
    assert states(ServerSeen(stopped=True), ServerSeen(silent=1.0)) == (["stopped", ""], "b: no answer")
    assert states(ServerSeen(stopped=True), ServerSeen(stopped=True)) == (["stopped", "stopped"], "")


def test_who_is_silent_for_long_is_away_unless_its_etcd_runs() -> None:
    assert states(ServerSeen(stopped=True), ServerSeen(silent=AWAY_SECONDS)) == (["stopped", "away"], "")
    found, waiting = states(ServerSeen(stopped=True), ServerSeen(etcd=True, silent=AWAY_SECONDS))
    assert found == ["stopped", ""] and "its etcd runs: start rke2 on it, or run rke2-killall.sh" in waiting
    found, waiting = states(ServerSeen(stopped=True), ServerSeen(refuses="no", silent=AWAY_SECONDS))
    assert found == ["stopped", ""] and waiting == "b: no"


def test_who_was_away_and_is_back_is_waited_for_again() -> None:
    away = OtherServer("b", "10.0.0.2", "away")
    made = decide.stopping((away,), {"b": ServerSeen(etcd=True)})
    assert made.waiting and made.servers[0].state == ""
    # Also after a new start of the leader, which has seen nobody yet.
    made = decide.stopping((away,), {})
    assert made.waiting and made.ask == ("b",)


def test_the_word_that_a_server_has_stopped_holds() -> None:
    stopped = OtherServer("b", "10.0.0.2", "stopped")
    made = decide.stopping((stopped,), {"b": ServerSeen(etcd=False)})
    assert made.waiting == "" and made.ask == ()


@pytest.mark.parametrize(
    ("voters", "ready", "missing"),
    [
        ({"a", "b"}, {"a", "b"}, ""),
        ({"a"}, {"a", "b"}, "b to join etcd again"),
        ({"a", "b"}, {"a"}, "node b to be Ready"),
        (set(), set(), "a to join etcd again, b to join etcd again"),
    ],
)
def test_the_end_is_when_all_vote_and_are_ready(voters: set[str], ready: set[str], missing: str) -> None:
    assert decide.missing((A, B), voters, ready) == missing


def test_who_is_away_is_not_waited_for() -> None:
    servers = (A, OtherServer("b", "10.0.0.2", "away"))
    assert decide.missing(servers, {"a"}, {"a"}) == ""
    assert decide.missing(servers, {"a", "b"}, {"a"}) == "node b to be Ready"


OWN = MemberIdentity("c0", "m1")
ENDED = (Restored("1", "c0"),)


@pytest.mark.parametrize(
    ("own", "answer", "stale"),
    [
        (OWN, Answer("a", "c1", "n1", members=("n1",), restores=ENDED), True),
        # Recovered without a snapshot: the same cluster, without this member.
        (OWN, Answer("a", "c0", "n1", members=("n1",), restores=ENDED), True),
        (OWN, Answer("a", "c0", "n1", members=("n1", "m1"), restores=ENDED), False),
        # Joined since: its cluster is the restored one.
        (MemberIdentity("c1", "n2"), Answer("a", "c1", "n1", members=("n1",), restores=ENDED), False),
        (OWN, Answer("a", "c1", "n1", members=("n1",)), False),
        (OWN, Answer("a", restores=ENDED), False),  # its etcd does not answer
        (None, Answer("a", "c1", "n1", members=("n1",), restores=ENDED), False),
    ],
)
def test_old_data_is_known_by_its_cluster_and_member(
    own: MemberIdentity | None, answer: Answer, stale: bool
) -> None:
    assert (decide.stale(own, answer) is not None) == stale


def test_a_second_restore_is_what_counts() -> None:
    answer = Answer(
        "a",
        "c2",
        "n1",
        members=("n1",),
        restores=(Restored("1", "c0"), Restored("2", "c1"), Restored("3", "c0")),
    )
    found = decide.stale(OWN, answer)
    assert found and found.id == "3"


def test_nobody_joins_a_cluster_that_is_not_restored_yet() -> None:
    rejoin = Rejoin("1", "https://a:9345")
    assert decide.may_join(rejoin, Answer("a", restores=ENDED))
    assert not decide.may_join(rejoin, Answer("a", leads=at("changing")))


def test_what_a_server_does_not_stop_for() -> None:
    assert decide.refusal(OWN, Rejoin("1", "https://a", "c0"), None) == ""
    assert decide.refusal(None, Rejoin("1", "https://a", "c0"), None) == ""
    assert "not of other" in decide.refusal(OWN, Rejoin("1", "https://a", "other"), None)
    assert "leads a restore itself" in decide.refusal(OWN, Rejoin("1", "https://a", "c0"), at("planned"))
    assert decide.refusal(OWN, Rejoin("1", "https://a", "c0"), at("done")) == ""
