"""What the start of a server does to its member: nothing, unless it has run out of space."""

from __future__ import annotations

from typing import Any, cast

import pytest

from rke2.etcd.client import EtcdClient
from rke2.etcd.membership import Self
from rke2.etcd.messages import ALARM_NOSPACE, Alarm, Header, Member, StatusResponse
from rke2.etcd.readiness import member_problem

OWN = Self("node1", "node1-00000001", "https://192.0.2.1:2380")


class Etcd:
    """One healthy member and its alarms; notes what is done to it."""

    def __init__(self, *alarms: Alarm) -> None:
        self._alarms = alarms
        self.done: list[str] = []

    async def status(self, _: str) -> StatusResponse:
        return StatusResponse(header=Header(member_id=1), leader=1)

    async def alarms(self) -> tuple[Alarm, ...]:
        return self._alarms

    async def defragment(self, _: str) -> None:
        self.done.append("defragment")

    async def disarm(self, alarm: Alarm) -> None:
        self.done.append("disarm")

    async def members(self) -> tuple[Member, ...]:
        return (Member(1, OWN.name, (OWN.peer_url,), (), False),)


async def problem_of(etcd: Etcd, **more: Any) -> str:
    return await member_problem(cast(EtcdClient, etcd), "https://192.0.2.1:2379", OWN, **more)


@pytest.mark.parametrize("maintenance", [True, False])
async def test_a_member_with_space_is_left_alone(maintenance: bool) -> None:
    """etcd defragments itself before it serves, if it is worth it; here it would only interrupt."""
    etcd = Etcd()
    assert await problem_of(etcd, maintenance=maintenance) == ""
    assert etcd.done == []


async def test_one_without_is_defragmented_before_it_takes_writes_again() -> None:
    etcd = Etcd(Alarm(1, ALARM_NOSPACE))
    assert await problem_of(etcd, maintenance=True) == ""
    assert etcd.done == ["defragment", "disarm"]


async def test_the_alarm_of_another_member_is_left_to_it() -> None:
    etcd = Etcd(Alarm(2, ALARM_NOSPACE))
    assert await problem_of(etcd, maintenance=True)
    assert etcd.done == []
