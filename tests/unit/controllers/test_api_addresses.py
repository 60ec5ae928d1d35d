from __future__ import annotations

from typing import cast

import pytest

from rke2.controllers.api_addresses import APIAddresses
from rke2.kube import apiservers
from rke2.kube.client import Client
from rke2.kube.objects import Key

from .etcds import FakeEtcd


async def test_the_key_is_written_when_it_changes_and_never_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    etcd, present = FakeEtcd(), list[str]()
    monkeypatch.setattr(apiservers, "ready_addresses", lambda _: present)
    controller = APIAddresses(cast(Client, None), etcd)
    present[:] = ["192.0.2.1:6443", "192.0.2.2:6443"]
    for requests in (2, 3):
        await controller._write(Key("default", "kubernetes"))
        assert etcd.keys == {"rke2/apiaddresses": b'["192.0.2.1:6443","192.0.2.2:6443"]'}
        assert etcd.asked == requests, "a read each time, and one write"
    present.clear()
    await controller._write(Key("default", "kubernetes"))
    assert etcd.keys == {"rke2/apiaddresses": b'["192.0.2.1:6443","192.0.2.2:6443"]'}
