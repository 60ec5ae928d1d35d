from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rke2.loadbalancer.balancer import PREFERRED_FOR, Balancer, ServerHealth, State

A, B, C, DEFAULT = "10.0.0.1:9345", "10.0.0.2:9345", "10.0.0.3:9345", "join.example:9345"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def balancer(*servers: str, clock: Callable[[], float] = Clock()) -> Balancer[str]:  # noqa: B008
    made: Balancer[str] = Balancer(DEFAULT, clock)
    made.set_servers(servers)
    return made


def bring(b: Balancer[str], address: str, state: State, clock: Clock) -> None:
    """Lead a new server to `state`, with a connection ``<address>#1`` if it is RECOVERING or ACTIVE."""
    match state:
        case State.FAILED:
            b.dial_failed(address)
        case State.RECOVERING:
            b.connected(address, f"{address}#1")
        case State.PREFERRED | State.HEALTHY | State.ACTIVE:
            b.checked(address, ServerHealth.OK)
            b.checked(address, ServerHealth.OK)
            if state is State.HEALTHY:
                clock.now += PREFERRED_FOR + 1
                b.checked(address, ServerHealth.OK)
            if state is State.ACTIVE:
                b.connected(address, f"{address}#1")
    assert b.state(address) is state


EVENTS: dict[str, Callable[[Balancer[str], str], set[str]]] = {
    "dial ok": lambda b, address: b.connected(address, "new"),
    "dial failed": lambda b, address: b.dial_failed(address),
    "health ok": lambda b, address: b.checked(address, ServerHealth.OK),
    "health failed": lambda b, address: b.checked(address, ServerHealth.FAILED),
    "health unknown": lambda b, address: b.checked(address, ServerHealth.UNKNOWN),
}
F, U, R, H, P, X = (
    State.FAILED,
    State.UNCHECKED,
    State.RECOVERING,
    State.HEALTHY,
    State.PREFERRED,
    State.ACTIVE,
)
TRANSITIONS = [
    # state, dial ok, dial failed, health ok, health failed
    (F, R, F, R, F),
    (U, R, F, R, U),
    (R, R, F, X, R),
    (H, X, F, H, F),
    (P, X, F, P, F),
    (X, X, F, X, F),
]


@pytest.mark.parametrize(
    ("state", "event", "after"),
    [
        (row[0], event, after)
        for row in TRANSITIONS
        for event, after in zip(EVENTS, (*row[1:], row[0]), strict=True)
    ],
)
def test_transition(state: State, event: str, after: State) -> None:
    clock = Clock()
    b = balancer(A, B, clock=clock)
    bring(b, A, state, clock)
    EVENTS[event](b, A)
    assert b.state(A) is after


@pytest.mark.parametrize("event", EVENTS)
def test_the_default_server_stays_in_standby(event: str) -> None:
    b = balancer(A)
    EVENTS[event](b, DEFAULT)
    assert b.state(DEFAULT) is State.STANDBY


@pytest.mark.parametrize("event", ["dial failed", "health failed"])
@pytest.mark.parametrize("state", [State.RECOVERING, State.ACTIVE])
def test_failure_closes_the_connections(state: State, event: str) -> None:
    clock = Clock()
    b = balancer(A, B, clock=clock)
    bring(b, A, state, clock)
    dropped = EVENTS[event](b, A)
    failed = b.state(A) is State.FAILED
    assert dropped == ({f"{A}#1"} if failed else set())
    assert failed or (state, event) == (State.RECOVERING, "health failed")


def test_numbers_are_those_of_the_metric() -> None:
    names = ["INVALID", "FAILED", "STANDBY", "UNCHECKED", "RECOVERING", "HEALTHY", "PREFERRED", "ACTIVE"]
    assert {state.name: state.value for state in State} == {name: i for i, name in enumerate(names)}


def test_dial_order_is_state_then_connections() -> None:
    clock = Clock()
    b = balancer(A, B, C, "10.0.0.4:9345", clock=clock)
    bring(b, C, State.ACTIVE, clock)
    bring(b, A, State.FAILED, clock)
    b.connected(DEFAULT, "d")
    assert b.order() == [C, B, "10.0.0.4:9345", DEFAULT, A]
    b = balancer(A, B, clock=clock)
    bring(b, A, State.RECOVERING, clock)
    b.connected(B, "one")
    b.connected(B, "two")
    assert b.order() == [B, A, DEFAULT]


def test_recovered_without_connections_is_preferred_for_a_minute() -> None:
    clock = Clock()
    b = balancer(A, clock=clock)
    bring(b, A, State.FAILED, clock)
    seen = []
    for clock.now in (1.0, 2.0, 3.0, 62.0, 62.5, 63.0):
        b.checked(A, ServerHealth.OK)
        seen.append(b.state(A))
    assert seen == [R, P, P, P, H, H]


def test_a_server_that_becomes_active_takes_the_connections_of_all_others() -> None:
    clock = Clock()
    b = balancer(A, B, C, clock=clock)
    b.connected(DEFAULT, "default")
    bring(b, A, State.RECOVERING, clock)
    bring(b, B, State.PREFERRED, clock)
    assert b.connected(B, "b") == {"default", f"{A}#1"}
    assert b.state(B) is State.ACTIVE


@pytest.mark.parametrize(
    ("rival", "winner"), [(1, A), (2, A), (3, B)], ids=["fewer connections", "as many", "more connections"]
)
def test_of_two_active_servers_the_one_with_more_connections_remains(rival: int, winner: str) -> None:
    clock = Clock()
    b = balancer(A, B, clock=clock)
    for number in range(rival):
        b.connected(B, f"b{number}")  # RECOVERING until checked
    bring(b, A, State.PREFERRED, clock)
    b.set_servers([A, B])
    assert b.connected(A, "a0") == {f"b{number}" for number in range(rival)}
    b.connected(A, "a1")
    for number in range(rival):
        b.connected(B, f"late{number}")
    dropped = b.checked(B, ServerHealth.OK)
    loser = B if winner == A else A
    assert (b.state(winner), b.state(loser)) == (State.ACTIVE, State.PREFERRED)
    assert dropped == ({f"late{n}" for n in range(rival)} if loser == B else {"a0", "a1"})


def test_a_server_that_is_removed_loses_its_connections_and_its_state() -> None:
    clock = Clock()
    b = balancer(A, B, clock=clock)
    bring(b, A, State.ACTIVE, clock)
    assert b.set_servers([B]) == {f"{A}#1"}
    assert b.state(A) is State.INVALID
    assert b.connected(A, "late") == {"late"}  # a dial that was under way
    b.set_servers([A, B])
    assert b.state(A) is State.UNCHECKED


def test_the_list_may_repeat_and_reorder_servers() -> None:
    clock = Clock()
    b = balancer(A, B, clock=clock)
    bring(b, B, State.ACTIVE, clock)
    assert b.set_servers([B, A, B]) == set()
    assert (b.addresses, b.state(B)) == ((B, A, DEFAULT), State.ACTIVE)


def test_the_default_server_in_and_out_of_the_list() -> None:
    b = balancer(A)
    b.connected(DEFAULT, "before")
    assert b.set_servers([DEFAULT, A]) == set()
    assert b.state(DEFAULT) is State.UNCHECKED
    assert b.set_servers([A]) == {"before"}
    assert b.state(DEFAULT) is State.STANDBY


class Cluster(RuleBasedStateMachine):
    """Servers that come, go, fail and recover, and clients that connect and leave, in any order."""

    servers = st.sampled_from([A, B, C, DEFAULT])

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.balancer: Balancer[int] = Balancer(DEFAULT, self.clock)
        self.up = {A, B, C, DEFAULT}
        self.open: dict[int, str] = {}
        self.numbers = itertools.count()

    def drop(self, connections: set[int]) -> None:
        for connection in connections:
            assert connection in self.open, "closed twice"
            del self.open[connection]

    @rule(addresses=st.lists(servers, unique=True))
    def list_servers(self, addresses: list[str]) -> None:
        self.drop(self.balancer.set_servers(addresses))

    @rule(address=servers)
    def toggle(self, address: str) -> None:
        self.up ^= {address}

    @rule()
    def client(self) -> None:
        for address in self.balancer.order():
            if address in self.up:
                connection = next(self.numbers)
                self.open[connection] = address
                self.drop(self.balancer.connected(address, connection))
                return
            self.drop(self.balancer.dial_failed(address))
        assert not self.up & set(self.balancer.addresses), "a server that can be reached was not tried"

    @rule(address=servers)
    def late_dial(self, address: str) -> None:
        """A dial that began when the order was another one."""
        connection = next(self.numbers)
        self.open[connection] = address
        self.drop(self.balancer.connected(address, connection))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        connection = data.draw(st.sampled_from(sorted(self.open)))
        self.balancer.disconnected(self.open.pop(connection), connection)

    @rule(seconds=st.sampled_from([1.0, 70.0]))
    def check(self, seconds: float) -> None:
        self.clock.now += seconds
        for address in self.balancer.addresses:
            health = ServerHealth.OK if address in self.up else ServerHealth.FAILED
            self.drop(self.balancer.checked(address, health))

    @invariant()
    def at_most_one_is_active(self) -> None:
        assert sum(server.state is State.ACTIVE for server in self.balancer.status()) <= 1

    @invariant()
    def every_open_connection_counts_for_its_server(self) -> None:
        counted = {server.address: server.connections for server in self.balancer.status()}
        assert set(self.open.values()) <= set(counted)
        assert all(list(self.open.values()).count(address) == counted[address] for address in counted)

    @invariant()
    def only_servers_in_use_or_on_trial_have_connections(self) -> None:
        idle = {State.FAILED, State.HEALTHY, State.PREFERRED}
        assert not [s for s in self.balancer.status() if s.connections and s.state in idle]

    @invariant()
    def the_default_is_the_only_one_in_standby(self) -> None:
        assert self.balancer.addresses
        assert sum(server.state is State.STANDBY for server in self.balancer.status()) <= 1

    def teardown(self) -> None:
        """Left alone with clients that come back, it settles on one server that can be reached, for good."""
        for connection, address in list(self.open.items()):
            if address not in self.up:  # the kernel notices
                self.balancer.disconnected(self.open.pop(connection), connection)
        for _ in range(3):
            self.check(1.0)
            self.client()
        self.check(1.0)
        self.check(1.0)
        reachable = self.up & set(self.balancer.addresses)
        used = {s.address for s in self.balancer.status() if s.connections}
        assert used <= self.up
        if reachable:
            assert len(used) == 1
            assert self.balancer.order()[0] in used
        if reachable and self.balancer.state(next(iter(used))) is not State.STANDBY:
            assert self.balancer.state(next(iter(used))) is State.ACTIVE


Cluster.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestCluster = Cluster.TestCase
