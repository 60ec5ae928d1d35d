"""A certificate that is renewed where pods have it mounted: seen through the mount, and no reason for another pod."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from rke2.config.model import NodeConfig
from rke2.pki.agent import LocalSigner, renew_agent_leaves
from rke2.pki.catalog import AGENT_LEAVES
from rke2.pki.pem import read_certificates
from rke2.pki.renewed import kept_of, repair, replace_certificate
from rke2.pki.server_pki import renew_server_leaves, server_leaves
from rke2.pki.services import pair
from rke2.staticpods import kube_apiserver, kube_controller_manager, kube_proxy, kube_scheduler, writer
from rke2.staticpods.pod import StaticPod
from tests.prepared import prepared_server

ALWAYS = timedelta(days=3650)
"""So long before its end: every leaf is due."""


@pytest.fixture
async def config(tmp_path: Path) -> NodeConfig:
    return await prepared_server(tmp_path)


def pods(config: NodeConfig) -> list[StaticPod]:
    modules = (kube_apiserver, kube_controller_manager, kube_scheduler, kube_proxy)
    return [module.pod(config, f"registry.example/{module.NAME}:v1") for module in modules]


async def renew(config: NodeConfig) -> int:
    """The number of leaves that were renewed."""
    server = renew_server_leaves(config, ALWAYS)
    return len(server.renewed) + len((await renew_agent_leaves(config, LocalSigner(config), ALWAYS)).renewed)


def leaves(config: NodeConfig) -> list[tuple[Path, Path]]:
    stems = [config.paths.tls / leaf.file for leaf in server_leaves(config)]
    return [pair(stem) for stem in stems + [config.paths.agent / leaf.file for leaf in AGENT_LEAVES]]


async def test_who_has_the_file_open_sees_the_new_certificate_with_the_old_key(config: NodeConfig) -> None:
    before = [(os.open(crt, os.O_RDONLY), crt.read_bytes(), key.read_bytes()) for crt, key in leaves(config)]
    assert await renew(config) == len(before)
    for (crt, key), (fd, old, old_key) in zip(leaves(config), before, strict=True):
        held = os.pread(fd, 1 << 16, 0)
        assert held == crt.read_bytes() != old
        assert key.read_bytes() == old_key
        os.close(fd)


async def test_static_pods_stay_the_same_over_generations(config: NodeConfig) -> None:
    for pod in pods(config):
        assert writer.write(pod, config.paths).changed
    for _ in range(3):
        await renew(config)
        assert [writer.write(pod, config.paths).changed for pod in pods(config)] == [False] * 4


async def test_another_key_or_a_file_put_there_by_hand_makes_another_pod(config: NodeConfig) -> None:
    for pod in pods(config):
        writer.write(pod, config.paths)
    await renew(config)
    serving = config.paths.tls / "serving-kube-apiserver.crt"
    content = serving.read_bytes()
    serving.write_bytes(content + b"\n")
    assert [writer.manifest(pod, config.paths).in_place for pod in pods(config)] == [False, True, True, True]
    serving.write_bytes(content)
    assert all(writer.manifest(pod, config.paths).in_place for pod in pods(config))
    for file in pair(config.paths.tls / "client-scheduler"):
        file.unlink()
    await prepared_server(config.paths.data_dir.parents[3])
    assert [writer.manifest(pod, config.paths).in_place for pod in pods(config)] == [True, True, False, True]


async def test_what_has_been_deleted_waits_for_the_next_start(config: NodeConfig) -> None:
    gone = pair(config.paths.tls / "client-admin") + pair(config.paths.agent / "client-kubelet")
    for file in gone:
        file.unlink()
    assert await renew(config) == len(leaves(config)) - 2
    assert not any(file.exists() for file in gone)


async def test_nothing_is_due(config: NodeConfig) -> None:
    report = renew_server_leaves(config, timedelta(days=100))
    assert not report.changed and len(report.kept) == len(list(server_leaves(config)))
    assert kept_of(config.paths) == {}


@pytest.mark.parametrize("longer", [True, False])
@pytest.mark.parametrize("at", [60, 200, 700])
async def test_a_file_that_is_half_written_is_finished_at_the_next_start(
    config: NodeConfig, at: int, longer: bool
) -> None:
    file = config.paths.tls / "client-admin.crt"
    old = file.read_bytes()
    await renew(config)
    new = file.read_bytes()
    file.write_bytes(new[:at] + (old[at:] if longer else b""))
    repair(config.paths)
    assert file.read_bytes() == new and read_certificates(file)


async def test_what_somebody_has_put_there_is_left(config: NodeConfig) -> None:
    file = config.paths.tls / "client-admin.crt"
    await renew(config)
    file.write_bytes(b"something else")
    repair(config.paths)
    assert file.read_bytes() == b"something else"
    assert str(file) not in kept_of(config.paths)


def test_a_first_certificate_is_just_written(config: NodeConfig) -> None:
    file = config.paths.tls / "new.crt"
    replace_certificate(config.paths, file, b"pem", 0o644)
    assert file.read_bytes() == b"pem" and file.stat().st_mode & 0o777 == 0o644
    assert kept_of(config.paths) == {}


def test_a_list_that_cannot_be_read_is_as_none(config: NodeConfig) -> None:
    (config.paths.agent_etc).mkdir(parents=True, exist_ok=True)
    for text in ("", "[]", '{"a": 3}', '{"a": ["b"]}', "\x00"):
        (config.paths.agent_etc / "renewed-certificates.json").write_text(text)
        assert kept_of(config.paths) == {}
        repair(config.paths)
