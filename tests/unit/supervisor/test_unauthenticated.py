"""Places for connections that have not authenticated."""

from __future__ import annotations

import asyncio

import pytest

from rke2.supervisor.unauthenticated import UnauthenticatedConnections, client_of


def test_places_of_one_address() -> None:
    unauthenticated = UnauthenticatedConnections(most=3, most_of_one=2)
    first = unauthenticated.enter("192.0.2.1")
    assert first
    assert unauthenticated.enter("192.0.2.1")
    assert unauthenticated.enter("192.0.2.1") is None
    assert unauthenticated.enter("192.0.2.2")
    assert unauthenticated.enter("192.0.2.3") is None
    first.free()
    first.free()
    assert len(unauthenticated) == 2
    assert unauthenticated.enter("192.0.2.3")


def test_one_ipv6_host_has_all_addresses_of_its_network() -> None:
    unauthenticated = UnauthenticatedConnections(most=100, most_of_one=2)
    taken = [unauthenticated.enter(f"2001:db8:0:1::{number:x}") for number in range(1, 10)]
    assert [place is not None for place in taken] == [True, True, *[False] * 7]
    assert unauthenticated.enter("2001:db8:0:2::1")
    assert taken[0]
    taken[0].free()
    assert unauthenticated.enter("2001:db8:0:1:ffff::1")


def test_nodes_have_places_whatever_others_do() -> None:
    nodes = {"2001:db8::a", "2001:db8::b"}
    unauthenticated = UnauthenticatedConnections(most=2, most_of_one=2, kept=2, is_node=nodes.__contains__)
    assert unauthenticated.enter("2001:db8::1")
    assert unauthenticated.enter("2001:db8::2")
    assert unauthenticated.enter("2001:db8::3") is None
    first, second = unauthenticated.enter("2001:db8::a"), unauthenticated.enter("2001:db8::b")
    assert first
    assert second
    assert unauthenticated.enter("2001:db8::a") is None
    first.free()
    assert unauthenticated.enter("2001:db8::a")
    assert len(unauthenticated) == 4


def test_a_node_may_have_one_of_the_other_places_too() -> None:
    unauthenticated = UnauthenticatedConnections(most=1, most_of_one=1, kept=0, is_node=lambda _: True)
    assert unauthenticated.enter("192.0.2.1")
    assert unauthenticated.enter("192.0.2.1") is None


def test_one_node_does_not_have_all_places_of_nodes() -> None:
    unauthenticated = UnauthenticatedConnections(most=0, kept=100, is_node=lambda _: True)
    taken = [unauthenticated.enter("192.0.2.1") for _ in range(100)]
    assert sum(place is not None for place in taken) == 64
    assert unauthenticated.enter("192.0.2.2")


async def test_a_detained_client_keeps_its_place_though_it_goes_away() -> None:
    unauthenticated = UnauthenticatedConnections(most=1)
    first = unauthenticated.enter("192.0.2.1")
    assert first
    first.detain(0.05)
    first.free()
    first.free()
    assert unauthenticated.enter("192.0.2.1") is None
    async with asyncio.timeout(20):
        while len(unauthenticated):
            await asyncio.sleep(0.01)
    assert unauthenticated.enter("192.0.2.1")


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
