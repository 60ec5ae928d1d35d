"""Places for connections that have not authenticated."""

from __future__ import annotations

import asyncio

import pytest

from rke2.supervisor.newcomers import Newcomers, client_of


def test_places_of_one_address() -> None:
    newcomers = Newcomers(most=3, most_of_one=2)
    first = newcomers.enter("192.0.2.1")
    assert first
    assert newcomers.enter("192.0.2.1")
    assert newcomers.enter("192.0.2.1") is None
    assert newcomers.enter("192.0.2.2")
    assert newcomers.enter("192.0.2.3") is None
    first.free()
    first.free()
    assert len(newcomers) == 2
    assert newcomers.enter("192.0.2.3")


def test_one_ipv6_host_has_all_addresses_of_its_network() -> None:
    newcomers = Newcomers(most=100, most_of_one=2)
    taken = [newcomers.enter(f"2001:db8:0:1::{number:x}") for number in range(1, 10)]
    assert [place is not None for place in taken] == [True, True, *[False] * 7]
    assert newcomers.enter("2001:db8:0:2::1")
    assert taken[0]
    taken[0].free()
    assert newcomers.enter("2001:db8:0:1:ffff::1")


def test_nodes_have_places_whatever_others_do() -> None:
    nodes = {"2001:db8::a", "2001:db8::b"}
    newcomers = Newcomers(most=2, most_of_one=2, kept=2, is_node=nodes.__contains__)
    assert newcomers.enter("2001:db8::1")
    assert newcomers.enter("2001:db8::2")
    assert newcomers.enter("2001:db8::3") is None
    first, second = newcomers.enter("2001:db8::a"), newcomers.enter("2001:db8::b")
    assert first
    assert second
    assert newcomers.enter("2001:db8::a") is None
    first.free()
    assert newcomers.enter("2001:db8::a")
    assert len(newcomers) == 4


def test_a_node_may_have_one_of_the_other_places_too() -> None:
    newcomers = Newcomers(most=1, most_of_one=1, kept=0, is_node=lambda _: True)
    assert newcomers.enter("192.0.2.1")
    assert newcomers.enter("192.0.2.1") is None


def test_one_node_does_not_have_all_places_of_nodes() -> None:
    newcomers = Newcomers(most=0, kept=100, is_node=lambda _: True)
    taken = [newcomers.enter("192.0.2.1") for _ in range(100)]
    assert sum(place is not None for place in taken) == 64
    assert newcomers.enter("192.0.2.2")


async def test_a_detained_client_keeps_its_place_though_it_goes_away() -> None:
    newcomers = Newcomers(most=1)
    first = newcomers.enter("192.0.2.1")
    assert first
    first.detain(0.05)
    first.free()
    first.free()
    assert newcomers.enter("192.0.2.1") is None
    async with asyncio.timeout(20):
        while len(newcomers):
            await asyncio.sleep(0.01)
    assert newcomers.enter("192.0.2.1")


@pytest.mark.parametrize(
    ("address", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_which_addresses_are_one_client(address: str, other: str, same: bool) -> None:
    assert (client_of(address) == client_of(other)) is same
