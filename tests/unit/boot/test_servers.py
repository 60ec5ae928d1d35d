"""What a node tells of its connections."""

from __future__ import annotations

from pathlib import Path

import pytest

from rke2.boot.node import Node
from rke2.boot.process import Boot
from rke2.boot.servers import connection_status
from rke2.config.model import ComponentSettings, JoinSettings
from rke2.datastore import remote_members
from rke2.etcd.messages import Member
from rke2.host.facts import detect
from rke2.lifecycle.liveness import Liveness
from rke2.lifecycle.progress import BalancedServer, Progress
from rke2.lifecycle.services import Services
from tests.configs import paths_under, server_config

MEMBERS = (
    Member(1, "n1-1a2b3c4d", ("https://192.0.2.1:2380",), ("https://192.0.2.1:2379",), False),
    Member(2, "n2-1a2b3c4d", ("https://192.0.2.2:2380",), ("https://192.0.2.2:2379",), True),
)
ETCD_OFF = {"etcd": ComponentSettings(disabled=True)}


async def test_a_server_without_etcd_shows_where_its_etcd_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_members, "CLIENT_PORT", 0)
    join = JoinSettings("https://192.0.2.1:9345", "secret")
    config = server_config(paths_under(tmp_path), components=ETCD_OFF, join=join)
    node = Node.assemble(
        Boot(
            config,
            detect(),
            Progress(config.paths.status, "server", "v1"),
            Services(),
            Liveness(print, lambda: None),
        )
    )
    members = node.server.members_elsewhere
    assert members
    assert connection_status(node).load_balancers == {remote_members.NAME: []}
    await members.start(MEMBERS)
    try:
        voter = BalancedServer("192.0.2.1:2379", "UNCHECKED")
        assert connection_status(node).load_balancers == {remote_members.NAME: [voter]}
    finally:
        await members.close()
