"""The supervisor against a real API server: node passwords, bootstrap tokens, its certificate's Secret."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rke2.join.bootstrap_tokens import new_token
from rke2.kube.client import Client as KubeClient
from rke2.kube.resources import SECRETS
from rke2.supervisor.core import Core
from rke2.supervisor.server import SupervisorServer
from tests.binaries import binary
from tests.control_plane import ControlPlane, control_plane
from tests.unit.supervisor.client import Client
from tests.unit.supervisor.test_server import NODE, configured, supervisor

pytestmark = [pytest.mark.root, pytest.mark.content]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    for name in ("etcd", "kube-apiserver", "kubectl"):
        binary(name)
    with control_plane(tmp_path_factory.mktemp("supervisor")) as running:
        yield running


@dataclass
class Running:
    server: SupervisorServer
    kube: KubeClient
    client: Client


@pytest.fixture
async def running(cluster: ControlPlane, tmp_path: Path) -> AsyncIterator[Running]:
    config = configured(tmp_path, server={"shared_agent_keys": True})  # its client sends no bodies
    with cluster.isolated.entered():
        async with KubeClient(cluster.kubeconfig, "rke2", "node1") as kube:
            server, core = supervisor(config), Core(kube, config)
            await server.start()
            task = asyncio.create_task(core.run())
            async with asyncio.timeout(60):
                await core.synced()
            server.core.publish(core)
            async with asyncio.timeout(60):
                while not server._node_passwords.ready:  # its own name comes first
                    await asyncio.sleep(0.05)
            yield Running(server, kube, Client(server.port, config.paths.tls / "server-ca.crt"))
            await server.stop()
            task.cancel()
            await asyncio.wait([task])


def headers(password: str) -> dict[str, str]:
    return {"rke2-Node-Name": "node2", "rke2-Node-Password": password, "rke2-Node-IP": "192.0.2.2"}


async def test_a_name_belongs_to_the_first_password(running: Running) -> None:
    path = "/v1-rke2/client-kubelet.crt"
    assert (await running.client.ask(path, NODE, **headers("right"))).status == 200
    assert (await running.client.ask(path, NODE, **headers("wrong"))).status == 403
    assert (await running.client.ask(path, NODE, **headers("right"))).status == 200
    secret = await running.kube.get(SECRETS, "node2.node-password.rke2", "kube-system")
    assert (secret["type"], secret["immutable"]) == ("rke2.cattle.io/node-password", True)


async def test_bootstrap_tokens_let_agents_in_until_they_expire(running: Running) -> None:
    now = datetime.now(UTC)
    good, old = new_token(expires=now + timedelta(hours=1)), new_token(expires=now - timedelta(hours=1))
    for token in (good, old):
        await running.kube.create(SECRETS, token.to_secret())
    for token, status in ((good, 200), (old, 401)):
        bearer = {"Authorization": f"Bearer {token}"}
        assert (await running.client.ask("/v1-rke2/readyz", **bearer)).status == status


async def test_apiservers_and_the_certificates_secret(running: Running) -> None:
    async with asyncio.timeout(60):
        while not (found := json.loads((await running.client.ask("/v1-rke2/apiservers", NODE)).body)):
            await asyncio.sleep(0.1)
        while not (secret := await running.kube.find(SECRETS, "rke2-serving", "kube-system")):
            await asyncio.sleep(0.1)
    assert found == ["192.0.2.1:6443"]
    assert secret["type"] == "kubernetes.io/tls"
