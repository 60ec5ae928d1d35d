"""What holds whatever nodes, leaders and clocks do: decisions are taken in every order, and looked at one by one."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rke2.rollout.decide import Deed
from rke2.rollout.names import plan_label
from rke2.rollout.plan import WindowSpec
from rke2.rollout.window import parse_window

from .worlds import AGENTS, NEW, OLD, SERVERS, World, a_node, a_plan, after

WINDOWS = st.sampled_from([None, WindowSpec(start_time="12:00", end_time="13:00")])
NAMES = ("server-0", "server-1", "server-2", "agent-0", "agent-1", "agent-2")


class Rollout(RuleBasedStateMachine):
    """Three servers and three agents with RKE2's two Plans."""

    @initialize(
        servers=st.integers(1, 3),
        agents=st.integers(1, 3),
        windows=st.tuples(WINDOWS, WINDOWS),
        way=st.booleans(),
        first=st.booleans(),
    )
    def begin(
        self,
        servers: int,
        agents: int,
        windows: tuple[WindowSpec | None, WindowSpec | None],
        way: bool,
        first: bool,
    ) -> None:
        # Half of the time the servers are done: it would take most of the steps to get there.
        label = {} if first else {plan_label("server-plan"): a_plan("server-plan", SERVERS).hash}
        nodes = [
            a_node(name, server=True, running=OLD if first else NEW, labels=dict(label))
            if name.startswith("server")
            else a_node(name)
            for name in NAMES
        ]
        plans = [
            a_plan("server-plan", SERVERS, concurrency=servers, window=windows[0], cordon=way),
            a_plan(
                "agent-plan",
                AGENTS,
                concurrency=agents,
                window=windows[1],
                prepare=after("server-plan") if way else None,
            ),
        ]
        self.world = World(nodes, plans)
        self.failed: set[str] = set()

    @rule(deeds=st.booleans())
    def look(self, deeds: bool) -> None:
        world, stopped = self.world, set(self.failed)
        before = {name: plan.applying for name, plan in world.plans.items()}
        servers = [node for node in world.nodes.values() if node.server]
        ready = {node.name: node.ready for node in servers}
        new = all(node.runs(NEW) for node in servers)
        for decision in world.look(deeds=deeds):
            plan = decision.plan
            for each in decision.deeds:
                if each.deed not in (Deed.BEGIN, Deed.MAKE_WAY):
                    continue
                node = each.node
                assert plan.name not in stopped, "a Plan with a failed node goes on"
                assert node.ready
                if node.host not in before[plan.name]:
                    assert self._open(plan.spec.window), "a node begins outside of the window"
                if node.server:
                    assert not world.trouble
                    assert all(up for name, up in ready.items() if name != node.name)
                    assert world.plans["server-plan"].snapshot, "a server begins without a snapshot"
                else:
                    assert new, "an agent begins before its servers"

    def _open(self, window: WindowSpec | None) -> bool:
        return window is None or parse_window((), window.start_time, window.end_time, "").contains(
            self.world.now
        )

    @rule(name=st.sampled_from(NAMES))
    def a_node_works(self, name: str) -> None:
        self.world.works(name)

    @rule(name=st.sampled_from(NAMES))
    def a_node_comes_and_goes(self, name: str) -> None:
        node = self.world.nodes[name]
        self.world.nodes[name] = replace(node, ready=not node.ready)

    @rule()
    def all_nodes_work(self) -> None:
        for name in NAMES:
            self.world.works(name)
            self.world.nodes[name] = replace(self.world.nodes[name], ready=True)

    @precondition(lambda self: self.world.busy)
    @rule(data=st.data(), step=st.sampled_from(["failed", "rolled-back"]))
    def a_node_fails(self, data: st.DataObject, step: str) -> None:
        name = data.draw(st.sampled_from(self.world.busy))
        self.world.says(name, step, "broken")
        self.failed.add("server-plan" if name.startswith("server") else "agent-plan")

    @rule()
    def another_server_leads(self) -> None:
        self.world.drained.clear()

    @rule(minutes=st.sampled_from([1, 61, -61]))
    def time_passes(self, minutes: int) -> None:
        self.world.passes(60 * minutes)

    @rule(trouble=st.sampled_from(["", "etcd member server-2 does not answer"]))
    def etcd_changes(self, trouble: str) -> None:
        self.world.trouble = trouble

    @invariant()
    def never_two_servers(self) -> None:
        assert len([name for name in self.world.busy if name.startswith("server")]) <= 1

    @invariant()
    def never_more_than_concurrency(self) -> None:
        for plan in self.world.plans.values():
            mine = [name for name in self.world.busy if name[:5] == plan.name[:5]]
            assert len(mine) <= plan.spec.concurrency
            assert len(plan.applying) <= plan.spec.concurrency


Rollout.TestCase.settings = settings(
    max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRollout = Rollout.TestCase
