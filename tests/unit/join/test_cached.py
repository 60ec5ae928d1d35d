from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from rke2.config.model import JoinSettings, NodeConfig
from rke2.errors import JoinError
from rke2.join import cached
from rke2.join.as_server import join_token
from rke2.join.cluster_config.encode import encode_config
from rke2.pki.agent import LocalSigner, ensure_agent_pki
from rke2.pki.server_pki import ensure_server_pki
from tests.configs import paths_under, server_config

CLUSTER = server_config(network={"cluster_domain": "example.org"})


@pytest.fixture
async def agent(tmp_path: Path) -> NodeConfig:
    """A node with all its certificates."""
    config = server_config(paths_under(tmp_path))
    ensure_server_pki(config)
    await ensure_agent_pki(config, LocalSigner(config))
    return config


async def test_what_was_told_is_remembered_without_secrets(agent: NodeConfig) -> None:
    assert cached.load(agent) is None
    cached.store(agent, {**encode_config(CLUSTER), "IPSECPSK": "topsecret"})
    found = cached.load(agent)
    assert found is not None
    assert found.network.cluster_domain == "example.org"
    file = agent.paths.agent / "etc/cluster-config.json"
    assert "topsecret" not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_without_its_certificates_a_node_is_nobody(agent: NodeConfig) -> None:
    cached.store(agent, encode_config(CLUSTER))
    (agent.paths.agent / "client-kube-proxy.crt").unlink()
    assert cached.load(agent) is None


async def test_the_certificates_of_another_name_do_not_serve(agent: NodeConfig) -> None:
    cached.store(agent, encode_config(CLUSTER))
    assert cached.load(replace(agent, node=replace(agent.node, name="renamed"))) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"ClusterDomain": 7}'])
async def test_a_damaged_memory_is_none(
    agent: NodeConfig, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    cached.store(agent, {})
    (agent.paths.agent / "etc/cluster-config.json").write_text(text)
    assert cached.load(agent) is None
    assert "not usable" in caplog.text


def test_a_joining_server_needs_a_token(tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path), join=JoinSettings("https://a:9345"))
    with pytest.raises(JoinError, match="token is required to join a cluster") as caught:
        join_token(config)
    assert caught.value.final
    config.paths.server.mkdir(parents=True)
    config.paths.token.write_text("K10::server:stored\n")
    assert join_token(config) == "K10::server:stored"
    assert join_token(replace(config, join=JoinSettings("https://a:9345", "given"))) == "given"
