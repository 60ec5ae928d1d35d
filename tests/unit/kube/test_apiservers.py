from __future__ import annotations

from typing import Any

import pytest

from rke2.kube.apiservers import decode, encode, ready_addresses
from rke2.kube.objects import Object


def item(*endpoints: Any, ports: Any = ({"name": "https", "port": 6443},)) -> Object:
    return {"endpoints": list(endpoints), "ports": list(ports)}


def test_ready_endpoints_of_all_slices() -> None:
    slices = [
        item(
            {"addresses": ["192.0.2.3"], "conditions": {"ready": True}},
            {"addresses": ["192.0.2.4"], "conditions": {"ready": False}},
            {"addresses": ["192.0.2.1"]},
        ),
        item({"addresses": ["192.0.2.3"], "conditions": {"ready": None}}),
        item({"addresses": ["2001:db8::1"], "conditions": {}}),
    ]
    assert ready_addresses(slices) == ["192.0.2.1:6443", "192.0.2.3:6443", "[2001:db8::1]:6443"]


def test_the_first_port_else_https() -> None:
    endpoint = {"addresses": ["192.0.2.1"]}
    assert ready_addresses([item(endpoint, ports=[{"port": 7443}, {"port": 1}])]) == ["192.0.2.1:7443"]
    assert ready_addresses([item(endpoint, ports=())]) == ["192.0.2.1:443"]
    assert ready_addresses([item(endpoint, ports=[{}])]) == ["192.0.2.1:443"]


def test_nothing_is_nothing() -> None:
    assert ready_addresses([]) == []
    assert ready_addresses([{"endpoints": None, "ports": None}]) == []


def test_the_list_in_etcd() -> None:
    assert decode(encode(["192.0.2.1:6443", "[2001:db8::1]:6443"])) == [
        "192.0.2.1:6443",
        "[2001:db8::1]:6443",
    ]


@pytest.mark.parametrize("value", [None, b"", b"{", b"null", b"7", b'{"a":1}', b"[7]", b"\xff"])
def test_what_is_no_list_is_nothing(value: bytes | None) -> None:
    assert decode(value) == []
