from __future__ import annotations

from typing import Any, cast

import pytest

from rke2.controllers import api_addresses as module
from rke2.controllers.api_addresses import APIAddresses, ready_addresses
from rke2.kube.client import Client
from rke2.kube.objects import Key, Object

from .etcds import FakeEtcd


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


async def test_the_key_is_written_when_it_changes_and_never_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    etcd, present = FakeEtcd(), list[str]()
    monkeypatch.setattr(module, "ready_addresses", lambda _: present)
    controller = APIAddresses(cast(Client, None), etcd)
    present[:] = ["192.0.2.1:6443", "192.0.2.2:6443"]
    for requests in (2, 3):
        await controller._write(Key("default", "kubernetes"))
        assert etcd.keys == {"rke2/apiaddresses": b'["192.0.2.1:6443","192.0.2.2:6443"]'}
        assert etcd.asked == requests, "a read each time, and one write"
    present.clear()
    await controller._write(Key("default", "kubernetes"))
    assert etcd.keys == {"rke2/apiaddresses": b'["192.0.2.1:6443","192.0.2.2:6443"]'}
