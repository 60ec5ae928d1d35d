"""Which server a node's connections go to: the states of a load balancer, without any input or output.

Fail-over, not spreading: one server, the ACTIVE one, has all connections until it fails (supervisor-api.md 9.7).
The caller reports what happened to connections and health checks; what a method returns are the connections that
the caller has to close because of it.

Where the reference leaves a choice:

- A health check that is OK takes FAILED and UNCHECKED to RECOVERING as a successful dial does. Without that a
  server that has failed would come back only when all others fail too.
- A FAILED server has no connections, also if it failed while UNCHECKED or RECOVERING.
- A server that becomes ACTIVE leaves no other one with connections, also not one that is demoted to PREFERRED.
  Where two would be ACTIVE with equally many connections, the one that was it before remains.
- The default server, once STANDBY, stays that whatever happens to it: it is asked before those that have failed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto
from typing import Generic, TypeVar

PREFERRED_FOR = 60.0
"""Seconds a server remains PREFERRED without being used."""

Connection = TypeVar("Connection", bound=Hashable)


class State(IntEnum):
    """A server's state; the numbers are those of the metric ``rke2_loadbalancer_server_health``."""

    INVALID = 0
    """Not a server of this balancer."""
    FAILED = 1
    STANDBY = 2
    """The default server while the cluster does not list it."""
    UNCHECKED = 3
    RECOVERING = 4
    """Answered once since it was unknown or failed."""
    HEALTHY = 5
    PREFERRED = 6
    """Recently found healthy."""
    ACTIVE = 7
    """Has the connections."""


class ServerHealth(Enum):
    """What is known about a server besides its connections."""

    UNKNOWN = auto()
    OK = auto()
    FAILED = auto()


@dataclass(frozen=True)
class ServerStatus:
    """A server as status and metrics show it.

    Attributes:
        address: ``host:port``.
        connections: number of connections that are open through it.
    """

    address: str
    state: State
    connections: int


@dataclass
class _Server(Generic[Connection]):
    state: State
    since: float
    connections: set[Connection] = field(default_factory=set)


_AFTER_DIAL = {
    State.FAILED: State.RECOVERING,
    State.UNCHECKED: State.RECOVERING,
    State.HEALTHY: State.ACTIVE,
    State.PREFERRED: State.ACTIVE,
}
_FAILS_BY_DIAL = {State.UNCHECKED, State.RECOVERING, State.HEALTHY, State.PREFERRED, State.ACTIVE}
# Upstream's rule: a health check takes only proven servers out of use, the others fail by a dial alone.
_FAILS_BY_HEALTH = {State.HEALTHY, State.PREFERRED, State.ACTIVE}


class Balancer(Generic[Connection]):
    """The servers of one load balancer, their states and their connections.

    Args:
        default: address that is known without asking the cluster.
        clock: seconds, monotonic.
    """

    def __init__(self, default: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._default = default
        self._clock = clock
        self._listed: tuple[str, ...] = ()
        self._servers: dict[str, _Server[Connection]] = {}
        self._arrange()

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(self._servers)

    def status(self) -> tuple[ServerStatus, ...]:
        return tuple(
            ServerStatus(address, server.state, len(server.connections))
            for address, server in self._servers.items()
        )

    def state(self, address: str) -> State:
        """The state of `address`, INVALID if it is not one of the servers."""
        server = self._servers.get(address)
        return server.state if server else State.INVALID

    def order(self) -> list[str]:
        """The addresses to dial, one after the other until one answers."""
        # sorted() is stable, also in reverse: among equals the order of the list decides.
        return sorted(
            self._servers,
            key=lambda address: (self._servers[address].state, len(self._servers[address].connections)),
            reverse=True,
        )

    def set_servers(self, addresses: Iterable[str]) -> set[Connection]:
        """Make `addresses` the list of servers; the default one stays in STANDBY if it is not among them."""
        before, self._listed = self._listed, tuple(dict.fromkeys(addresses))
        return self._arrange(removed=set(before) - set(self._listed))

    def dial_failed(self, address: str) -> set[Connection]:
        return self._fail(address, _FAILS_BY_DIAL)

    def connected(self, address: str, connection: Connection) -> set[Connection]:
        """A dial has succeeded; the connection counts for `address` until `disconnected`.

        One that comes too late, to a server that is gone or to the default one beside an ACTIVE server, is returned.
        """
        server = self._servers.get(address)
        if server is None or (server.state is State.STANDBY and self._active_has_at_least(0)):
            return {connection}
        # Counted before `_enter` compares the two: on a tie the server that is
        # ACTIVE already keeps its connections.
        server.connections.add(connection)
        return self._enter(address, _AFTER_DIAL.get(server.state, server.state))

    def disconnected(self, address: str, connection: Connection) -> None:
        if address in self._servers:
            self._servers[address].connections.discard(connection)

    def checked(self, address: str, health: ServerHealth) -> set[Connection]:
        """Take in the result of a health check."""
        if health is ServerHealth.FAILED:
            return self._fail(address, _FAILS_BY_HEALTH)
        if health is ServerHealth.OK and address in self._servers:
            return self._enter(address, self._after_ok(self._servers[address]))
        return set()

    def _after_ok(self, server: _Server[Connection]) -> State:
        match server.state:
            case State.FAILED | State.UNCHECKED:
                return State.RECOVERING
            case State.RECOVERING:
                return State.ACTIVE if server.connections else State.PREFERRED
            case State.PREFERRED if self._clock() - server.since > PREFERRED_FOR:
                return State.HEALTHY
        return server.state

    def _fail(self, address: str, from_states: set[State]) -> set[Connection]:
        if self.state(address) not in from_states:
            return set()
        self._enter(address, State.FAILED)
        return self._take_connections(address)

    def _enter(self, address: str, state: State) -> set[Connection]:
        server = self._servers[address]
        if server.state is state:
            return set()
        if state is State.ACTIVE and self._active_has_at_least(len(server.connections)):
            self._set(address, State.PREFERRED)
            return self._take_connections(address)
        self._set(address, state)
        return self._draw_to(address) if state is State.ACTIVE else set()

    def _active_has_at_least(self, connections: int) -> bool:
        return any(
            server.state is State.ACTIVE and len(server.connections) >= connections
            for server in self._servers.values()
        )

    def _draw_to(self, active: str) -> set[Connection]:
        """Leave only `active` with connections."""
        dropped = set()
        for address, server in self._servers.items():
            if address != active:
                dropped |= self._take_connections(address)
                if server.state is State.ACTIVE:
                    self._set(address, State.PREFERRED)
        return dropped

    def _set(self, address: str, state: State) -> None:
        server = self._servers[address]
        # Entering a state again must not restart `since`: PREFERRED_FOR would never be over.
        if server.state is not state:
            server.state, server.since = state, self._clock()

    def _take_connections(self, address: str) -> set[Connection]:
        server = self._servers[address]
        dropped, server.connections = server.connections, set()
        return dropped

    def _arrange(self, removed: Collection[str] = ()) -> set[Connection]:
        """Bring the servers in line with the list and the default."""
        wanted = self._listed if self._default in self._listed else (*self._listed, self._default)
        dropped: set[Connection] = set()
        # `removed` may name the default server. It stays, as STANDBY, but its
        # connections end like those of others.
        for address in set(self._servers) & (set(removed) | set(self._servers) - set(wanted)):
            dropped |= self._take_connections(address)
        self._servers = {address: self._servers.get(address) or self._new() for address in wanted}
        if self._default not in self._listed:
            self._set(self._default, State.STANDBY)
        for address in self._listed:
            if self._servers[address].state is State.STANDBY:
                self._set(address, State.UNCHECKED)
        return dropped

    def _new(self) -> _Server[Connection]:
        return _Server(State.UNCHECKED, self._clock())
