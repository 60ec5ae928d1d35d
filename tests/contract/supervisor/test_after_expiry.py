"""Nodes that were off for 400 days: their certificates ended, those of the authorities did not."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from rke2.config.model import NodeConfig
from rke2.errors import JoinError
from rke2.join.client import Supervisor as Client
from rke2.join.client import connect
from rke2.join.credentials import ensure_node_password
from rke2.join.passwd import NODE_USER
from rke2.join.remote_signer import RemoteSigner
from rke2.pki.agent import ensure_agent_pki
from rke2.supervisor.serving import FILE, ServingCertificate, ensure_serving_certificate, store
from tests.cluster.restart.expiry import expire, leaves
from tests.configs import agent_config, paths_under
from tests.contract.supervisor.harness import AGENT_TOKEN, Supervisor, configured, supervisor

AGO = timedelta(days=400 - 365)
"""Since when certificates are over that were a day old when the node was switched off."""


async def join(running: Supervisor, config: NodeConfig, token: str = AGENT_TOKEN) -> None:
    """What an agent does at its start, with what it has."""
    password = ensure_node_password(config.paths)
    identity = config.paths.agent / "client-kubelet"
    found: Client = await connect(
        f"https://127.0.0.1:{running.port}",
        token,
        NODE_USER,
        identity=identity if identity.exists() else None,
    )
    await ensure_agent_pki(config, RemoteSigner(found, config.node, password))


def ended(tls: Path, agent: Path) -> list[str]:
    now = datetime.now(UTC)
    return [leaf.path.name for leaf in leaves(tls, agent) if leaf.first.not_valid_after_utc < now]


def switch_off(server: NodeConfig, agent: NodeConfig) -> None:
    """Have every leaf of both have ended a while ago, that of port 9345 too."""
    before = ensure_serving_certificate(server)
    beside = server.paths.tls / "beside.crt"
    beside.write_bytes(before.certificate)
    authorities = server.paths.tls
    assert expire(authorities, agent.paths.agent, ago=AGO) > 18
    store(server, ServingCertificate(beside.read_bytes(), before.key))
    beside.unlink()


def serving(tls: Path) -> x509.Certificate:
    return ServingCertificate.from_secret(json.loads((tls / FILE).read_text())).parsed()


@pytest.fixture
def agent(tmp_path: Path) -> NodeConfig:
    made = agent_config(paths_under(tmp_path / "agent"))
    return replace(made, node=replace(made.node, name="node2", ips=(ip_address("192.0.2.2"),)))


def test_a_server_and_an_agent_start_together(tmp_path: Path, agent: NodeConfig) -> None:
    """The server renews its own first; the agent's are refused, and it gets others with its token."""
    server = configured(tmp_path / "server")
    with supervisor(tmp_path / "server") as running:
        running.become_ready()
        asyncio.run(join(running, agent))
    tls = server.paths.tls
    keys = {path: path.read_bytes() for path in (*tls.rglob("*.key"), *agent.paths.agent.glob("*.key"))}
    switch_off(server, agent)
    assert len(ended(tls, agent.paths.agent)) > 18
    assert serving(tls).not_valid_after_utc < datetime.now(UTC) - AGO + timedelta(hours=1)

    with supervisor(tmp_path / "server") as running:
        assert ended(tls, server.paths.agent) == []
        assert serving(tls).not_valid_after_utc > datetime.now(UTC)
        running.become_ready()
        asyncio.run(join(running, agent))
    assert ended(tls, agent.paths.agent) == []
    assert all(path.read_bytes() == key for path, key in keys.items())


def test_an_agent_alone_gets_new_ones_with_its_token_only(tmp_path: Path, agent: NodeConfig) -> None:
    server = configured(tmp_path / "server")
    with supervisor(tmp_path / "server") as running:
        running.become_ready()
        asyncio.run(join(running, agent))
        expire(server.paths.tls, agent.paths.agent, only_agent=True, ago=AGO)
        former = ended(server.paths.tls, agent.paths.agent)
        assert len(former) == 4
        with pytest.raises(JoinError):
            asyncio.run(join(running, agent, "another"))
        assert ended(server.paths.tls, agent.paths.agent) == former
        asyncio.run(join(running, agent))
    assert ended(server.paths.tls, agent.paths.agent) == []
