"""Which node is upgraded next."""

from __future__ import annotations

import msgspec
import pytest

from rke2.release_version import ReleaseVersion
from rke2.rollout.decide import Deed, PlanDecision, decide
from rke2.rollout.facts import RolloutFacts, turn_of
from rke2.rollout.names import plan_label
from rke2.rollout.plan import ClusterPlan, DrainSpec, WindowSpec
from rke2.rollout.selectors import LabelSelector

from .worlds import AGENTS, NEW, SERVERS, START, World, a_node, a_plan, after, asked, staged

EVERYTHING = LabelSelector()


def cluster() -> World:
    """Three servers, two agents, and the two Plans of RKE2's documentation."""
    servers = [a_node(f"server-{number}", server=True) for number in range(3)]
    agents = [a_node(f"agent-{number}") for number in range(2)]
    plans = [
        a_plan("server-plan", SERVERS, cordon=True),
        a_plan("agent-plan", AGENTS, cordon=True, concurrency=2, prepare=after("server-plan")),
    ]
    return World([*servers, *agents], plans)


def finish(world: World, limit: int = 60) -> list[str]:
    """Until all is done; the nodes in the order in which they were told to begin."""
    begun: list[str] = []
    for _ in range(limit):
        for decision in world.look():
            begun += [each.node.name for each in decision.deeds if each.deed is Deed.BEGIN]
        if world.is_done():
            return begun
        for name in list(world.nodes):
            world.works(name)
    raise AssertionError(world.standing)


def decision_of(plan: str, world: World) -> PlanDecision:
    return next(decision for decision in world.look() if decision.plan.name == plan)


def test_servers_one_by_one_then_agents_together() -> None:
    world = cluster()
    begun = finish(world)
    assert [name[:6] for name in begun] == ["server"] * 3 + ["agent-"] * 2
    assert all(node.runs(NEW) and not node.unschedulable for node in world.nodes.values())
    assert all(node.request is None for node in world.nodes.values())


def test_all_nodes_are_asked_to_stage_before_any_begins() -> None:
    world = cluster()
    first = world.look()
    assert {each.deed for decision in first for each in decision.deeds} == {Deed.STAGE}
    assert len([each for decision in first for each in decision.deeds]) == 5
    for name in ("server-0", "server-1", "server-2", "agent-0"):
        world.works(name)
    world.look()
    assert not world.busy
    assert world.standing["server-plan"] == (False, "Waiting", "Node agent-1 has not staged v1.37.2+rke2py1")


def test_a_node_that_is_away_holds_up_no_staging() -> None:
    world = cluster()
    away = world.nodes["agent-1"]
    world.nodes["agent-1"] = a_node("agent-1", ready=False)
    for _ in range(30):
        world.look()
        for name in ("server-0", "server-1", "server-2", "agent-0"):
            world.works(name)
    assert world.standing["server-plan"] == (True, "Complete", "")
    assert world.standing["agent-plan"] == (False, "Waiting", "Node agent-1 is not Ready")
    assert world.nodes["agent-0"].runs(NEW)
    assert away.running != NEW


def test_an_agent_that_cannot_stage_keeps_servers_from_beginning() -> None:
    world = cluster()
    world.look()
    for name in world.nodes:
        world.says(name, "staged")
    world.says("agent-0", "failed", "the disk has 1 GiB left, 4 are needed")
    world.look()
    assert not world.busy
    complete, reason, message = world.standing["agent-plan"]
    assert (complete, reason) == (False, "JobFailed")
    assert message == "Job failed on Node agent-0: failed: the disk has 1 GiB left, 4 are needed"
    assert "agent-0 has not staged" in world.standing["server-plan"][2]


def test_a_snapshot_comes_before_the_first_server() -> None:
    world = cluster()
    world.look()
    for name in list(world.nodes):
        world.works(name)
    servers = decision_of("server-plan", world)
    assert (servers.snapshot, servers.applying, servers.deeds) == (True, (), ())
    servers = decision_of("server-plan", world)
    assert (servers.snapshot, len(servers.applying)) == (False, 1)


@pytest.mark.parametrize("step", ["failed", "rolled-back"])
def test_a_node_that_fails_stops_its_plan(step: str) -> None:
    world = cluster()
    for _ in range(4):
        world.look()
        for name in list(world.nodes):
            if not world.nodes[name].busy:
                world.works(name)
    (failing,) = world.busy
    world.says(failing, step, "kubelet does not start")
    for _ in range(5):
        world.look()
        for name in list(world.nodes):
            world.works(name)
    assert world.busy == []
    told = f"Job failed on Node {failing}: {step}: kubelet does not start"
    assert world.standing["server-plan"] == (False, "JobFailed", told)
    assert not any(node.runs(NEW) for node in world.nodes.values())
    assert "server-plan is not complete" in world.standing["agent-plan"][2]


def test_beside_a_node_that_failed_no_other_begins() -> None:
    world = World([a_node(name) for name in "abc"], [a_plan("p", EVERYTHING, concurrency=2)])
    world.look()
    for name in "abc":
        world.works(name)
    world.look()
    failing, other = world.busy
    world.says(failing, "failed", "no")
    for _ in range(5):
        world.look()
        world.works(other)
    assert world.busy == []
    assert world.nodes[other].labels[plan_label("p")] == world.plans["p"].hash
    assert world.plans["p"].applying == (failing,)


def test_a_node_that_failed_is_tried_again_when_its_annotations_are_removed() -> None:
    world = World([a_node("a")], [a_plan("p", EVERYTHING)])
    world.look()
    world.works("a")
    world.look()
    world.says("a", "rolled-back", "no")
    world.look()
    assert world.standing["p"][1] == "JobFailed"
    world.nodes["a"] = a_node("a")
    assert finish(world) == ["a"]


def test_a_node_that_takes_too_long_stops_its_plan() -> None:
    world = World([a_node("a")], [a_plan("p", EVERYTHING, job_active_deadline_secs=60)])
    world.look()
    world.works("a")
    world.look()
    world.works("a")
    world.passes(61)
    world.look()
    told = "Job failed on Node a: DeadlineExceeded: the upgrade was not done within 60 s (switching)"
    assert world.standing["p"] == (False, "JobFailed", told)
    world.says("a", "done")
    world.look()
    assert world.look()[0].standing.complete


def test_a_node_without_this_program_does_not_answer() -> None:
    world = World([a_node("a")], [a_plan("p", EVERYTHING)])
    world.look()
    world.passes(901)
    world.look()
    assert world.standing["p"][2].endswith("staging was not done within 900 s (the node does not answer)")


def test_no_deadline_with_zero() -> None:
    world = World([a_node("a")], [a_plan("p", EVERYTHING, job_active_deadline_secs=0)])
    world.look()
    world.passes(1e6)
    world.look()
    assert world.standing["p"][1] == "Waiting"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (ReleaseVersion(1, 38, 0), "a minor version is skipped: upgrade to v1.37 first"),
        (ReleaseVersion(1, 36, 3), "a downgrade, which Kubernetes and etcd do not support"),
        (ReleaseVersion(1, 35, 9), "a downgrade, which Kubernetes and etcd do not support"),
    ],
)
def test_versions_that_no_node_is_led_to(target: ReleaseVersion, words: str) -> None:
    world = World([a_node("a")], [a_plan("p", EVERYTHING, target=target)])
    (decision,) = world.look()
    assert (decision.standing.reason, decision.deeds) == ("ValidationFailed", ())
    assert words in decision.standing.message


def test_agents_wait_for_servers_without_any_prepare() -> None:
    server = a_node("s", server=True)
    world = World([server, a_node("a")], [a_plan("p", AGENTS)])
    world.look()
    world.works("a")
    world.look()
    told = "server s runs v1.36.4: servers are upgraded before agents"
    assert world.standing["p"] == (False, "Waiting", told)


def test_servers_of_two_plans_are_upgraded_one_by_one() -> None:
    nodes = [a_node(name, server=True, labels={"half": name}) for name in "ab"]
    plans = [a_plan(f"plan-{name}", LabelSelector({"half": name})) for name in "ab"]
    world = World(nodes, plans)
    for _ in range(3):
        world.look()
        for name in "ab":
            if not world.nodes[name].busy:
                world.works(name)
    (first,) = world.busy
    assert finish(world) == [name for name in "ab" if name != first]


def test_a_server_waits_while_another_is_not_ready_or_etcd_is_in_trouble() -> None:
    world = cluster()
    world.look()
    for name in list(world.nodes):
        world.works(name)
    world.trouble = "etcd member server-2 does not answer"
    decisions = world.look()
    assert not any(decision.snapshot or decision.applying for decision in decisions)
    assert world.standing["server-plan"] == (False, "Waiting", world.trouble)
    world.trouble = ""
    world.nodes["server-1"] = asked(
        a_node("server-1", server=True, ready=False), world.plans["server-plan"], "staged", stage=True
    )
    world.look()
    assert "server-1 is not Ready" in world.standing["server-plan"][2]


def test_outside_of_its_window_nothing_begins_and_what_has_begun_goes_on() -> None:
    window = WindowSpec(start_time="12:00", end_time="13:00")
    world = World([a_node("a"), a_node("b")], [a_plan("p", EVERYTHING, window=window)])
    world.look()
    for name in "ab":
        world.works(name)
    world.passes(2 * 3600)
    world.look()
    assert world.standing["p"] == (False, "Waiting", "outside of spec.window")
    world.passes(-2 * 3600)
    world.look()
    (first,) = world.busy
    world.passes(2 * 3600 - 1)
    for _ in range(4):
        world.works(first)
        world.look()
    # Upstream would begin with the other one: it looks at the window only while no node is at work.
    assert world.busy == []
    assert world.nodes[first].labels[plan_label("p")] == world.plans["p"].hash
    assert world.standing["p"] == (False, "Waiting", "outside of spec.window")


def test_exclusive_plans_take_turns() -> None:
    nodes = [a_node(name, labels={"half": name}) for name in "ab"]
    plans = [a_plan(f"plan-{name}", LabelSelector({"half": name}), exclusive=True) for name in "ab"]
    world = World(nodes, plans)
    world.look()
    for name in "ab":
        world.works(name)
    world.look()
    assert len(world.busy) == 1
    assert [said for _, _, said in world.standing.values() if "exclusive" in said]
    finish(world)


def test_nodes_that_are_disabled_done_or_without_a_name_are_left_out() -> None:
    plan = a_plan("p", EVERYTHING)
    label = plan_label("p")
    nameless = a_node("c")
    nodes = [
        a_node("a", labels={label: "disabled"}),
        a_node("b", labels={label: plan.hash}),
        type(nameless)(name="c", host=""),
    ]
    assert decide([plan], nodes, RolloutFacts(START))[0].standing.complete


def test_without_a_selector_nothing_is_selected() -> None:
    plan: ClusterPlan = a_plan("p", EVERYTHING)
    plan = type(plan)(key=plan.key, uid="", spec=type(plan.spec)(concurrency=1), target=NEW, hash="h")
    assert decide([plan], [a_node("a")], RolloutFacts(START))[0].standing.complete


def test_drain_comes_first_and_its_failure_stops_the_plan() -> None:
    plan = a_plan("p", EVERYTHING, drain=DrainSpec())
    node = staged(a_node("a"), plan)
    (decision,) = decide([plan], [node], RolloutFacts(START))
    assert [each.deed for each in decision.deeds] == [Deed.MAKE_WAY]
    turn = turn_of(plan, node)
    (decision,) = decide([plan], [node], RolloutFacts(START, drained=frozenset({turn})))
    assert [each.deed for each in decision.deeds] == [Deed.BEGIN]
    (decision,) = decide([plan], [node], RolloutFacts(START, stuck={turn: "pod default/db: it does not end"}))
    assert decision.standing.reason == "JobFailed"
    assert decision.standing.message == "Job failed on Node a: pod default/db: it does not end"
    assert decision.deeds == ()


def test_a_node_that_runs_the_release_already_keeps_its_pods() -> None:
    plan = a_plan("p", EVERYTHING, drain=DrainSpec())
    node = asked(a_node("a", server=True, running=NEW), plan, "done", stage=True)
    (decision,) = decide([plan], [node], RolloutFacts(START, snapshots=True))
    assert ([each.deed for each in decision.deeds], decision.snapshot) == ([Deed.BEGIN], False)
    node = asked(a_node("a", server=True, running=NEW), plan, "done")
    (decision,) = decide(
        [msgspec.structs.replace(plan, applying=("a",))], [node], RolloutFacts(START, snapshots=True)
    )
    assert [each.deed for each in decision.deeds] == [Deed.LABEL]


def test_a_delay_keeps_the_place_but_the_node_takes_pods_again() -> None:
    world = World(
        [a_node("a"), a_node("b")], [a_plan("p", EVERYTHING, cordon=True, post_complete_delay="5m")]
    )
    for _ in range(6):
        world.look()
        for name in "ab":
            world.works(name)
    (first,) = world.plans["p"].applying
    assert world.nodes[first].step == "done"
    assert not world.nodes[first].unschedulable
    world.look()
    assert world.busy == []
    world.passes(301)
    world.look()
    assert len(world.look()[0].applying) == 1
    (second,) = world.plans["p"].applying
    assert second != first


def test_two_plans_with_different_versions_do_not_take_turns_in_asking() -> None:
    older = ReleaseVersion(1, 36, 5, "rke2py1")
    plans = [a_plan("a", EVERYTHING), a_plan("b", EVERYTHING, target=older)]
    world = World([a_node("n")], plans)
    world.look()
    (request,) = [node.request for node in world.nodes.values()]
    world.look()
    assert [node.request for node in world.nodes.values()] == [request]


def test_a_leader_that_ends_between_status_and_request_is_followed_by_one_that_goes_on() -> None:
    world = cluster()
    world.look()
    for name in list(world.nodes):
        world.works(name)
    world.look()
    world.look(deeds=False)
    held = world.plans["server-plan"].applying
    assert len(held) == 1
    assert not world.busy
    world.look()
    world.look()
    assert world.busy == list(held)
