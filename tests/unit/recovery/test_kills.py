"""A whole restore on paper: three servers that follow the decisions, killed at every point, cut off, away.

What a server has on disk survives; what it has in memory does not. The order of a server's steps is that of
`rke2.boot.plans.restore`, `rke2.recovery.recovery` and `rke2.boot.restored`; what is real here are the decisions.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rke2.recovery import decide
from rke2.recovery.decide import AWAY_SECONDS, ServerSeen
from rke2.recovery.state import MemberIdentity, OtherServer, Rejoin, Restore
from rke2.recovery.wire import Answer, Restored

OLD, NEW = "c0", "c1"
NAMES = ("l", "a", "b")


@dataclass
class Disk:
    """What a kill leaves: state files, the data of a cluster, and the control plane's pods, which run on."""

    data: str = OLD
    pods: str = OLD
    aside: list[str] = field(default_factory=list)
    restore: Restore | None = None
    rejoin: Rejoin | None = None

    @property
    def identity(self) -> MemberIdentity | None:
        return MemberIdentity(self.data, f"m-{self.data}") if self.data else None


class World:
    """The servers; `run` gives each running process a step in turn."""

    def __init__(self) -> None:
        self.disks = {name: Disk() for name in NAMES}
        self.processes: dict[str, Iterator[None] | None] = dict.fromkeys(NAMES)
        self.off: set[str] = set()
        self.exchanges = 0
        others = tuple(OtherServer(name, name) for name in NAMES[1:])
        self.disks["l"].restore = Restore("1", "/s", 0.0, OLD, others)

    # --- processes ---------------------------------------------------------------------------------
    def start(self, name: str) -> None:
        self.off.discard(name)
        self.processes[name] = self.boot(name)

    def kill(self, name: str, *, power: bool = False) -> None:
        self.processes[name] = None
        if power:
            self.disks[name].pods = ""
            self.off.add(name)

    def step(self, name: str) -> None:
        process = self.processes[name]
        if process is not None:
            next(process)
        self.check()

    def boot(self, name: str) -> Iterator[None]:
        while True:
            disk = self.disks[name]
            part = decide.part_of(disk.restore, disk.rejoin)
            if part == "leads":
                yield from self.lead(disk)
            elif part == "rejoins":
                yield from self.join_again(name, disk)
            else:
                yield from self.usual(name, disk)

    # --- the leader --------------------------------------------------------------------------------
    def lead(self, disk: Disk) -> Iterator[None]:
        yield  # the trial
        self.update(disk, step="stopping")
        yield
        seen: dict[str, ServerSeen] = {}
        silent: dict[str, float] = {}
        while True:
            assert disk.restore
            made = decide.stopping(disk.restore.servers, seen)
            self.update(disk, servers=made.servers)
            if not made.waiting:
                break
            for name in made.ask:
                seen[name] = yield from self.tell(name, silent)
        self.update(disk, step="changing")
        yield
        disk.pods = ""
        yield
        self.exchanges += 1
        disk.aside.append(disk.data)
        disk.data = ""
        yield
        disk.data = NEW
        yield
        self.update(disk, step="restored")
        yield

    def tell(self, name: str, silent: dict[str, float]) -> Generator[None, None, ServerSeen]:
        """One request: the server writes the word down, and ends its pods by itself, whoever waits for the answer."""
        disk = self.disks[name]
        yield
        if self.processes[name] is None or (disk.rejoin and not disk.pods):
            # Not running, or waiting for the leader with the supervisor not up yet.
            silent[name] = 0.0 if disk.pods else silent.get(name, 0.0) + AWAY_SECONDS / 2
            return ServerSeen(etcd=bool(disk.pods), silent=silent[name])
        rejoin = Rejoin("1", "l", OLD)
        if reason := decide.refusal(disk.identity, rejoin, disk.restore):
            return ServerSeen(refuses=reason)
        disk.rejoin = disk.rejoin or rejoin
        while disk.pods and self.processes[name] is not None:
            yield
        return ServerSeen(stopped=not disk.pods, etcd=bool(disk.pods))

    @staticmethod
    def update(disk: Disk, **changes: object) -> None:
        assert disk.restore
        disk.restore = msgspec.structs.replace(disk.restore, **changes)

    # --- the others --------------------------------------------------------------------------------
    def join_again(self, name: str, disk: Disk) -> Iterator[None]:
        assert disk.rejoin
        while not decide.may_join(disk.rejoin, self.ask("l")):
            # The pods of before are ended as soon as containerd is there, whatever the leader does.
            disk.pods = "" if not disk.rejoin.aside else disk.pods
            yield
        if not disk.rejoin.aside:
            disk.pods = ""
            yield
            if disk.data:
                disk.aside.append(disk.data)
                disk.data = ""
            yield
            disk.rejoin = msgspec.structs.replace(disk.rejoin, aside=True)
            yield
        disk.data = disk.pods = NEW
        yield
        disk.rejoin = None
        yield

    def usual(self, name: str, disk: Disk) -> Iterator[None]:
        # Before the kubelet, which starts what lies there; and again while it runs.
        for others in itertools.count():
            for other in NAMES:
                if other != name and decide.stale(disk.identity, self.ask(other)):
                    disk.rejoin = Rejoin("1", other, OLD)
                    return
            yield
            if disk.rejoin:
                disk.pods = ""
                return
            if others == 0:
                disk.pods = disk.data

    def ask(self, name: str) -> Answer:
        disk = self.disks[name]
        if name in self.off or self.processes[name] is None or not disk.pods or disk.pods != disk.data:
            return Answer(name)
        restores = (Restored("1", OLD),) if disk.data == NEW else ()
        members = tuple(f"m-{disk.data}" for _ in (0,))
        return Answer(name, disk.data, members[0], 1, members, restores)

    # --- what must always hold -----------------------------------------------------------------------
    def check(self) -> None:
        for name, disk in self.disks.items():
            assert OLD in (disk.data, *disk.aside), f"{name} has lost its old data"
        if self.disks["l"].pods == NEW and self.processes["l"] is not None:
            # One alone has no quorum, and serves nothing.
            going_on = [name for name in NAMES if self.disks[name].pods == OLD and name not in self.off]
            assert len(going_on) < 2, f"{going_on} serve old data beside the restored cluster"

    def whole(self) -> bool:
        return all(disk.data == disk.pods == NEW and disk.rejoin is None for disk in self.disks.values())

    def run(self, rounds: int) -> bool:
        for _ in range(rounds):
            for name in NAMES:
                self.step(name)
            if self.whole():
                return True
        return False


def begun() -> World:
    world = World()
    for name in NAMES:
        world.start(name)
    return world


ROUNDS = 60


def test_it_comes_to_its_end() -> None:
    world = begun()
    assert world.run(ROUNDS)
    assert world.exchanges == 1


@pytest.mark.parametrize(("victim", "after"), list(itertools.product(NAMES, range(40))))
def test_whoever_is_killed_at_any_point_goes_on_with_the_next_start(victim: str, after: int) -> None:
    world = begun()
    steps = itertools.cycle(NAMES)
    for _ in range(after):
        world.step(next(steps))
    world.kill(victim)
    for _ in range(7):
        world.step(next(steps))
    world.start(victim)
    assert world.run(ROUNDS)


@pytest.mark.parametrize("after", range(40))
def test_a_server_that_loses_power_joins_when_it_is_back(after: int) -> None:
    world = begun()
    steps = itertools.cycle(NAMES)
    for _ in range(after):
        world.step(next(steps))
    world.kill("b", power=True)
    world.run(ROUNDS)
    assert world.disks["l"].data == NEW and world.disks["a"].data == NEW
    world.start("b")
    assert world.run(ROUNDS)


def test_nothing_is_exchanged_while_an_etcd_cannot_be_stopped() -> None:
    world = begun()
    world.kill("b")  # rke2 is gone, its pods run on
    assert not world.run(ROUNDS)
    assert world.exchanges == 0 and world.disks["l"].data == OLD
    world.start("b")
    assert world.run(ROUNDS)


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 6), st.booleans()), max_size=8))
@settings(deadline=None)
def test_any_number_of_kills_and_power_cuts(kills: list[tuple[str, int, bool]]) -> None:
    world = begun()
    steps = itertools.cycle(NAMES)
    for victim, pause, power in kills:
        for _ in range(pause):
            world.step(next(steps))
        world.kill(victim, power=power)
        for _ in range(pause):
            world.step(next(steps))
        world.start(victim)
    assert world.run(ROUNDS * 3)
