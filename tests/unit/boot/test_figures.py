"""Everything a node tells, as one answer: names and labels in a golden file."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rke2.boot import figures
from rke2.config.model import ComponentSettings, JoinSettings, NodeConfig
from rke2.lifecycle.progress import ServiceStatus
from rke2.loadbalancer.balancer import State
from rke2.pki.agent import LocalSigner, ensure_agent_pki
from rke2.snapshots import record
from tests.contract.supervisor.harness import configured
from tests.golden import assert_golden
from tests.unit.boot.nodes import assembled

HERE = Path(__file__).parent
DAY = 86400


async def read(config: NodeConfig, *phases: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    node = assembled(config, *phases)
    node.progress.service("supervisor", ServiceStatus("failing", 3, "x"))
    node.progress.trouble("snapshots", "x")
    for phase in phases:
        with node.progress.running(phase, "x"):
            pass
    node.connections.set_apiservers(["192.0.2.9:6443", "192.0.2.10:6443"])
    node.connections.note("192.0.2.9:9345", True)
    node.connections.note("192.0.2.11:9345", False)
    if node.server_half:
        node.server_half.tunnel.opened["agent1"] += 1
        if node.server_half.snapshots:
            with node.server_half.snapshots.durations.save.timed():
                pass
    for balancer in node.connections.balancers:
        balancer.dials.observe(0.01, name=balancer.name, status="success")
    parsed = text_string_to_metric_families(await figures.answer(node))
    return {each.name: {tuple(s.labels.items()): s.value for s in each.samples} for each in parsed}


@pytest.fixture
async def server(tmp_path: Path) -> NodeConfig:
    config = configured(tmp_path)
    await ensure_agent_pki(config, LocalSigner(config))
    return config


async def test_certificates_have_the_time_that_is_left_to_them(server: NodeConfig) -> None:
    found = (await read(server))["rke2_certificate_expiration_seconds"]
    named = {(dict(labels)["subject"], dict(labels)["usages"]): value for labels, value in found.items()}
    left = named["CN=system:admin,O=system:masters", "ClientAuth"]
    assert 364 * DAY < left <= 365 * DAY
    [authority] = [value for (name, use), value in named.items() if "rke2-client-ca" in name]
    assert 3640 * DAY < authority < 3660 * DAY


async def test_the_newest_snapshot_and_the_last_drill_are_told(server: NodeConfig) -> None:
    directory, now = server.paths.snapshots, int(time.time())
    directory.mkdir(parents=True)
    for age in (DAY, 60):
        (directory / f"etcd-snapshot-node1-{now - age}").write_bytes(b"x" * age)
    newest = directory / f"etcd-snapshot-node1-{now - 60}"
    record.write_verdict(newest, record.DrillVerdict(name=newest.name, at=now, failure="it is broken"))
    found = await read(server)
    assert found["rke2_etcd_snapshot_files"][()] == 2
    assert found["rke2_etcd_snapshot_newest_timestamp_seconds"][()] == now - 60
    assert found["rke2_etcd_snapshot_newest_size_bytes"][()] == 60
    assert found["rke2_etcd_snapshot_verified_timestamp_seconds"] == {(("result", "failure"),): now}


async def test_what_status_shows_is_told(server: NodeConfig) -> None:
    found = await read(server, "host")
    assert found["rke2_ready"][()] == 0
    assert found["rke2_service_ill"][(("service", "supervisor"),)] == 1
    assert found["rke2_service_failures"][(("service", "supervisor"),)] == 3
    assert found["rke2_trouble"] == {(("about", "snapshots"),): 1}
    assert (("phase", "host"),) in found["rke2_boot_phase_duration_seconds"]


async def test_tunnels_that_ended_are_told(server: NodeConfig) -> None:
    found = await read(server)
    session = (("clientkey", "agent1"), ("peer", "false"))
    assert found["session_server_total_add_websocket_session"][session] == 1
    assert found["session_server_total_remove_websocket_session"][session] == 1
    assert found["rke2_tunnel_sessions"] == {(("node", "agent1"),): 0}


async def test_the_names_and_labels(tmp_path: Path, server: NodeConfig) -> None:
    """Golden: alerts of operators go by them, so a change is a change for them."""
    joined = JoinSettings("https://192.0.2.9:9345", "token")
    elsewhere = configured(
        tmp_path / "other", components={"kube-apiserver": ComponentSettings(disabled=True)}, join=joined
    )
    server.paths.snapshots.mkdir(parents=True)
    taken = server.paths.snapshots / f"etcd-snapshot-node1-{int(time.time())}"
    taken.write_bytes(b"x")
    record.write_verdict(taken, record.DrillVerdict(name=taken.name, at=1))
    found = {**await read(elsewhere, "host"), **await read(server, "host")}
    lines = [
        f"{name} {','.join(sorted({label for labels in samples for label, _ in labels}))}".strip()
        for name, samples in found.items()
    ]
    assert_golden(HERE / "figures.txt", "".join(f"{line}\n" for line in sorted(lines)))


async def test_a_load_balancer_tells_where_its_connections_go(tmp_path: Path) -> None:
    joined = JoinSettings("https://192.0.2.9:9345", "token")
    config = configured(
        tmp_path, components={"kube-apiserver": ComponentSettings(disabled=True)}, join=joined
    )
    found = await read(config)
    server = (("name", "rke2-agent-load-balancer"), ("server", "192.0.2.9:9345"))
    assert found["rke2_loadbalancer_server_health"][server] == State.UNCHECKED
    assert found["rke2_loadbalancer_server_connections"][server] == 0


async def test_a_server_that_never_answered_is_down_and_one_that_left_is_not_told(server: NodeConfig) -> None:
    found = (await read(server))["rke2_tunnel_connected"]
    assert found == {(("server", "192.0.2.9"),): 1, (("server", "192.0.2.10"),): 0}
