"""An etcd in memory: the requests the controllers make, and the failures they must outlive."""

from __future__ import annotations

from collections.abc import Iterable

from rke2.errors import EtcdError
from rke2.etcd.messages import KeyValue, Member

UNAVAILABLE = EtcdError("etcd does not answer", code="UNAVAILABLE")


def member(number: int, *, learner: bool = False) -> Member:
    """Member ``node<number>-0000000<number>`` at 192.0.2.<number>."""
    address = f"192.0.2.{number}"
    name = f"node{number}-{number:08x}"
    return Member(number, name, (f"https://{address}:2380",), (f"https://{address}:2379",), learner)


class FakeEtcd:
    """`fault`, if set, is what every request raises; `refusal` only a removal."""

    def __init__(self, members: Iterable[Member] = ()) -> None:
        self.present = {each.id: each for each in members}
        self.keys: dict[str, bytes] = {}
        self.fault: EtcdError | None = None
        self.refusal: EtcdError | None = None
        self.silent: set[str] = set()
        """Client URLs of members that do not answer."""
        self.asked = 0

    def _check(self) -> None:
        self.asked += 1
        if self.fault:
            raise self.fault

    async def members(self, *, timeout: float = 0.0) -> tuple[Member, ...]:
        self._check()
        return tuple(self.present.values())

    async def remove(self, member_id: int, /) -> None:
        self._check()
        if self.refusal:
            raise self.refusal
        del self.present[member_id]

    async def get(self, key: str, /) -> KeyValue | None:
        self._check()
        return KeyValue(key.encode(), value=self.keys[key]) if key in self.keys else None

    async def put(self, key: str, value: bytes, /) -> None:
        self._check()
        self.keys[key] = value

    async def status(self, endpoint: str, /, *, timeout: float) -> object:
        self._check()
        if endpoint in self.silent:
            raise UNAVAILABLE
        return object()
