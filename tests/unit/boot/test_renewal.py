"""The service that keeps certificates young while the node runs."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rke2.boot import renewal
from rke2.boot.renewal import Renewal
from rke2.config.model import NodeConfig
from rke2.errors import JoinError
from rke2.pki.agent import LocalSigner, Signer
from rke2.pki.kubeconfigs import ensure_admin_kubeconfig
from rke2.pki.lifetime import SECONDS, VARIABLE
from rke2.pki.pem import read_certificates
from tests.prepared import prepared_server


@pytest.fixture
async def config(tmp_path: Path) -> NodeConfig:
    config = await prepared_server(tmp_path)
    ensure_admin_kubeconfig(config)
    return config


def signing(config: NodeConfig) -> Callable[[], Awaitable[Signer]]:
    async def signer() -> Signer:
        return LocalSigner(config)

    return signer


def left(path: Path) -> timedelta:
    found = read_certificates(path)
    assert found
    return found.first.not_valid_after_utc - datetime.now(UTC)


async def test_nothing_happens_before_two_thirds_of_a_life(config: NodeConfig) -> None:
    async def nobody() -> Signer:
        raise AssertionError("nothing is due")

    await Renewal(config, nobody).renew_if_due()


async def test_all_are_renewed_when_the_first_is_due(
    config: NodeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what is written with the certificates in it."""
    monkeypatch.setenv(VARIABLE, "2000")  # of which 365 days are less than a third
    await Renewal(config, signing(config)).renew_if_due()
    for path in (config.paths.tls / "etcd/peer-server-client.crt", config.paths.agent / "client-kubelet.crt"):
        assert left(path) > timedelta(days=1999)
    embedded = base64.b64encode((config.paths.tls / "client-admin.crt").read_bytes()).decode()
    assert embedded in config.paths.admin_kubeconfig.read_text()


async def test_who_gets_shorter_lives_than_its_own_setting_says_goes_by_them(
    config: NodeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "2000")
    service = Renewal(config, signing(config))
    monkeypatch.setenv(VARIABLE, "30")
    await service.renew_if_due()
    first = (config.paths.tls / "client-admin.crt").read_bytes()
    assert left(config.paths.tls / "client-admin.crt") < timedelta(days=31)
    await service.renew_if_due()
    assert (config.paths.tls / "client-admin.crt").read_bytes() == first, "not again and again"


async def test_a_failure_is_told_and_tried_again(config: NodeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECONDS, "30")
    monkeypatch.setattr(renewal, "FIRST_PAUSE", 0.01)
    answers: list[Exception | None] = [JoinError("no server answers"), None]
    told: list[str] = []

    async def signer() -> Signer:
        if problem := answers.pop(0):
            raise problem
        return LocalSigner(config)

    service = Renewal(config, signer, lambda component, reason: told.append(f"{component}: {reason}"))
    # Those that are there live for a year: all of them would be due only if a life were longer.
    service._lifetime = timedelta(days=2000)
    task = asyncio.create_task(service.run(lambda: None))
    while not (config.paths.agent_etc / "renewed-certificates.json").exists():
        assert not task.done()
        await asyncio.sleep(0.01)
    while len(told) < 2:
        await asyncio.sleep(0.01)
    task.cancel()
    assert told[0] == "certificates: they cannot be renewed: no server answers"
    assert told[1] == "certificates: "
