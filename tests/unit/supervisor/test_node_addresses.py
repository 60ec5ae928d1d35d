"""The index from addresses to Nodes."""

from __future__ import annotations

from typing import Any

import pytest

from rke2.kube.informer import Informer
from rke2.kube.objects import Object
from rke2.kube.resources import NODES
from rke2.supervisor.node_addresses import NodeAddresses


class Nodes:
    """An informer that is told what changes."""

    def __init__(self) -> None:
        self._informer = Informer(None, NODES)  # type: ignore[arg-type]
        self._version = 0
        self.addresses = NodeAddresses(self._informer)

    def set(self, name: str, *addresses: str, kind: str = "InternalIP", gone: bool = False) -> None:
        self._version += 1
        listed: list[Object] = [{"type": kind, "address": address} for address in addresses]
        meta = {"name": name, "resourceVersion": str(self._version)}
        item: dict[str, Any] = {"metadata": meta, "status": {"addresses": listed}}
        self._informer._take("DELETED" if gone else "MODIFIED", item)


@pytest.fixture
def nodes() -> Nodes:
    return Nodes()


def test_addresses_come_change_and_go(nodes: Nodes) -> None:
    nodes.set("a", "192.0.2.1", "2001:db8::1")
    assert nodes.addresses.owners("192.0.2.1") == {"a"}
    nodes.set("a", "192.0.2.2")
    assert "192.0.2.1" not in nodes.addresses
    assert nodes.addresses.of("a") == {"192.0.2.2"}
    nodes.set("a", gone=True)
    assert "192.0.2.2" not in nodes.addresses
    assert nodes.addresses.of("a") == frozenset()


def test_an_address_of_two_nodes_stays_that_of_the_other(nodes: Nodes) -> None:
    nodes.set("a", "192.0.2.1")
    nodes.set("b", "192.0.2.1")
    assert nodes.addresses.owners("192.0.2.1") == {"a", "b"}
    nodes.set("b", gone=True)
    assert nodes.addresses.owners("192.0.2.1") == {"a"}


def test_every_form_of_an_address_is_found(nodes: Nodes) -> None:
    nodes.set("a", "2001:DB8:0::1", "::ffff:192.0.2.1")
    nodes.set("b", "Host.Example.org", kind="Hostname")
    assert nodes.addresses.owners("2001:db8::1") == {"a"}
    assert nodes.addresses.owners("192.0.2.1") == {"a"}
    assert nodes.addresses.owners("host.example.ORG") == {"b"}


def test_asking_remembers_nothing(nodes: Nodes) -> None:
    assert nodes.addresses.owners("192.0.2.9") == frozenset()
    assert "192.0.2.9" not in nodes.addresses


def test_unknown_kinds_and_empty_addresses_are_left_out(nodes: Nodes) -> None:
    nodes.set("a", "192.0.2.1", kind="Other")
    nodes.set("b", "")
    assert nodes.addresses.of("a") == nodes.addresses.of("b") == frozenset()
