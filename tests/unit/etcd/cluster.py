"""An etcd cluster of nothing but a member list, for decisions that need no consensus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from rke2.errors import EtcdError
from rke2.etcd.client import EtcdClient
from rke2.etcd.messages import Header, KeyValue, Member, StatusResponse


def unavailable() -> EtcdError:
    return EtcdError("etcd at https://x:2379: cannot connect: Connection refused", code="UNAVAILABLE")


@dataclass
class Cluster:
    """What `EtcdClient` does, on a list.

    Args:
        up: ids of the members that answer a status request.
        refusals: raised one after the other by changes of members, or by listing them.
    """

    all: tuple[Member, ...]
    up: set[int] = field(default_factory=set)
    refusals: list[EtcdError] = field(default_factory=list)
    list_failures: list[EtcdError] = field(default_factory=list)
    asked: list[Sequence[str]] = field(default_factory=list)
    keys: dict[str, bytes] = field(default_factory=dict)
    leader: int = 1

    @property
    def connect(self) -> Callable[[Sequence[str]], EtcdClient]:
        def connect(endpoints: Sequence[str]) -> EtcdClient:
            self.asked.append(list(endpoints))
            return cast(EtcdClient, self)

        return connect

    async def __aenter__(self) -> Cluster:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def members(self, *, linearizable: bool = True, timeout: float = 0) -> tuple[Member, ...]:
        if self.list_failures:
            raise self.list_failures.pop(0)
        return self.all

    def _change(self) -> None:
        if self.refusals:
            raise self.refusals.pop(0)

    async def add_learner(self, peer_url: str) -> tuple[Member, tuple[Member, ...]]:
        self._change()
        new = Member(max(each.id for each in self.all) + 1, peer_urls=(peer_url,), is_learner=True)
        self.all = (*self.all, new)
        return new, self.all

    async def remove(self, member_id: int) -> tuple[Member, ...]:
        self._change()
        self.all = tuple(each for each in self.all if each.id != member_id)
        return self.all

    async def promote(self, member_id: int) -> tuple[Member, ...]:
        self._change()
        self.all = tuple(
            replace(each, is_learner=False) if each.id == member_id else each for each in self.all
        )
        return self.all

    async def status(self, endpoint: str = "", *, timeout: float = 0) -> StatusResponse:
        found = next((each for each in self.all if endpoint in each.client_urls), None)
        if found is None or found.id not in self.up:
            raise unavailable()
        return StatusResponse(Header(member_id=found.id), leader=self.leader)

    async def get(self, key: str) -> KeyValue | None:
        return KeyValue(key.encode(), value=self.keys[key]) if key in self.keys else None

    async def put(self, key: str, value: bytes) -> None:
        self.keys[key] = value


def member(number: int, *, is_learner: bool = False) -> Member:
    """The member of node ``n<number>`` at 192.0.2.<number>, with that id."""
    address = f"https://192.0.2.{number}"
    return Member(number, f"n{number}-{number:08x}", (f"{address}:2380",), (f"{address}:2379",), is_learner)
