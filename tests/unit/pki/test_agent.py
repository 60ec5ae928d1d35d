"""The agent half asks its signer for what it needs, and for nothing twice."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from rke2.config.model import NodeConfig
from rke2.errors import PKIError
from rke2.pki.agent import LocalSigner, ensure_agent_pki
from rke2.pki.catalog import Authority, Leaf
from rke2.pki.names import AltNames
from rke2.pki.pem import belongs_to, read_certificates, read_key
from rke2.pki.server_pki import ensure_server_pki
from tests.configs import paths_under, server_config
from tests.snapshots import snapshot


class CountingSigner(LocalSigner):
    """The server's CAs, remembering what was asked of them."""

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        self.signed: list[str] = []

    async def sign(self, leaf: Leaf, csr: bytes) -> bytes:
        self.signed.append(leaf.file)
        return await super().sign(leaf, csr)


@pytest.fixture
def config(tmp_path: Path) -> NodeConfig:
    config = server_config(paths_under(tmp_path))
    ensure_server_pki(config)
    return config


async def asked(config: NodeConfig) -> list[str]:
    signer = CountingSigner(config)
    await ensure_agent_pki(config, signer)
    return signer.signed


async def test_each_certificate_is_asked_for_once(config: NodeConfig) -> None:
    every = ["serving-kubelet", "client-kubelet", "client-kube-proxy", "client-rke2-controller"]
    assert await asked(config) == every
    before = snapshot(config.paths.agent)
    assert await asked(config) == []
    assert snapshot(config.paths.agent) == before


async def test_certificates_are_of_the_keys_that_stay_here(config: NodeConfig) -> None:
    await asked(config)
    for path in config.paths.agent.glob("*-kubelet.key"):
        key, certificates = read_key(path), read_certificates(path.with_suffix(".crt"))
        assert key
        assert certificates
        assert belongs_to(key, certificates.first)
        assert not (config.paths.tls / path.name).exists()


async def test_a_new_address_renews_the_serving_certificate_only(config: NodeConfig, tmp_path: Path) -> None:
    await asked(config)
    moved = server_config(paths_under(tmp_path), node={"ips": (ip_address("192.0.2.9"),)})
    assert await asked(moved) == ["serving-kubelet"]
    serving = x509.load_pem_x509_certificate((config.paths.agent / "serving-kubelet.crt").read_bytes())
    assert AltNames.read(serving).entries() == ("node1", "localhost", "127.0.0.1", "192.0.2.9")


async def test_a_kubelet_keeps_no_address_that_has_become_anothers(
    config: NodeConfig, tmp_path: Path
) -> None:
    """Unlike a server's certificates: see ADR 0028."""
    two = server_config(
        paths_under(tmp_path), node={"ips": (ip_address("192.0.2.1"), ip_address("192.0.2.9"))}
    )
    await asked(two)
    assert await asked(config) == ["serving-kubelet"]


async def test_another_cluster_renews_everything(config: NodeConfig, tmp_path: Path) -> None:
    await asked(config)
    for path in config.paths.tls.glob("*-ca.*"):
        path.unlink()
    ensure_server_pki(config)
    assert len(await asked(config)) == 4
    bundle = (config.paths.tls / "client-ca.crt").read_bytes()
    assert (config.paths.agent / "client-ca.crt").read_bytes() == bundle


class MuteSigner(LocalSigner):
    """A server that answers with something else than certificates."""

    async def bundle(self, authority: Authority) -> bytes:
        return b"<html>login</html>"


async def test_an_answer_that_is_no_certificate_writes_nothing(config: NodeConfig) -> None:
    with pytest.raises(PKIError, match="no readable certificate"):
        await ensure_agent_pki(config, MuteSigner(config))
    assert not config.paths.agent.exists()


async def test_garbage_on_disk_is_named_before_anything_is_asked(config: NodeConfig) -> None:
    await asked(config)
    broken = config.paths.agent / "client-kubelet.key"
    broken.write_text("garbage")
    (config.paths.agent / "serving-kubelet.crt").unlink()
    signer = CountingSigner(config)
    with pytest.raises(PKIError, match=str(broken)):
        await ensure_agent_pki(config, signer)
    assert signer.signed == []
