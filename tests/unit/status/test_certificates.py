from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from rke2.config.model import NodeConfig
from rke2.config.paths import Paths
from rke2.pki.agent import LocalSigner, ensure_agent_pki
from rke2.pki.server_pki import ensure_server_pki
from rke2.status.certificates import Certificate, certificates, first_to_end, warnings
from rke2.status.cluster import own_name
from tests.configs import paths_under, server_config


async def node(root: Path) -> NodeConfig:
    config = server_config(paths_under(root))
    ensure_server_pki(config)
    await ensure_agent_pki(config, LocalSigner(config))
    return config


async def test_a_server_has_leaves_of_both_halves_and_its_authorities(tmp_path: Path) -> None:
    found = certificates((await node(tmp_path)).paths)
    files = {certificate.file for certificate in found}
    assert {"agent/client-kubelet", "server/tls/client-admin", "server/tls/etcd/peer-server-client"} <= files
    authorities = [certificate.file for certificate in found if certificate.authority]
    assert len(authorities) == 5
    leaf, ca = first_to_end(found, authority=False), first_to_end(found, authority=True)
    assert leaf and ca and leaf.ends < datetime.now(UTC) + timedelta(days=366) < ca.ends
    assert warnings(found) == []


async def test_an_agent_has_its_own(tmp_path: Path) -> None:
    paths = (await node(tmp_path)).paths
    alone = Paths(data_dir=tmp_path / "agent-only")
    alone.data_dir.mkdir()
    paths.agent.rename(alone.agent)
    found = certificates(alone)
    assert {certificate.file.split("/")[0] for certificate in found} == {"agent"}
    assert [certificate.name for certificate in found if certificate.authority] == ["client-ca", "server-ca"]
    assert own_name(alone) == "node1"


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    paths = paths_under(tmp_path)
    paths.agent.mkdir(parents=True)
    (paths.agent / "client-kubelet.crt").write_text("nonsense")
    assert certificates(paths) == ()
    assert own_name(paths) == ""


def test_leaves_warn_from_their_renewal_on_and_authorities_a_year_before() -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)

    def warning(days: int, *, authority: bool) -> str:
        return Certificate("agent/x", now + timedelta(days=days), authority).warning(now)

    assert warning(120, authority=False) == warning(365, authority=True) == ""
    assert warning(119, authority=False).startswith("agent/x.crt ends in 119 days: restart rke2")
    assert warning(364, authority=True).startswith("agent/x.crt ends in 364 days: replace")
    assert warning(-1, authority=False).startswith("agent/x.crt ended on 2026-11-22")
