"""The server on a real port: who gets which answer."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from rke2.config.model import ComponentSettings, NodeConfig
from rke2.errors import ConfigError, HostError
from rke2.join.passwd import Passwd
from rke2.pki.agent import LocalSigner, ensure_agent_pki
from rke2.pki.server_pki import ensure_server_pki
from rke2.supervisor.server import SupervisorServer
from rke2.tunnel.routing import Dialer, Routes
from rke2.tunnel.server import TunnelServer
from tests.authorities import certify, new_key, pem, place
from tests.configs import paths_under, server_config
from tests.unit.supervisor.client import Client
from tests.unit.supervisor.kube import Kube, core_over

PASSWD = Passwd(server="for servers", node="for agents")
SERVER, NODE = "server:for servers", "node:for agents"
READYZ = "/v1-rke2/readyz"


@dataclass
class Running:
    """A server, a client that trusts it, and the Kubernetes API behind it, which is not up before `become_ready`."""

    config: NodeConfig
    server: SupervisorServer
    client: Client
    kube: Kube
    _core: asyncio.Task[None] | None = None

    async def become_ready(self) -> None:
        core = core_over(self.kube, self.config)
        self._core = asyncio.create_task(core.run())
        await core.synced()
        self.server.core.publish(core)
        await until_certificates_are_issued(self.server)

    async def end(self) -> None:
        await self.server.stop()
        if self._core:
            self._core.cancel()
            await asyncio.wait([self._core])

    def presenting(self, stem: Path) -> Client:
        return replace(self.client, stem=stem)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    config = configured(tmp_path)
    await ensure_agent_pki(config, LocalSigner(config))
    server = supervisor(config)
    await server.start()
    found = Running(config, server, Client(server.port, config.paths.tls / "server-ca.crt"), Kube())
    yield found
    await found.end()


async def until_certificates_are_issued(server: SupervisorServer) -> None:
    """The server has seen to its own node password."""
    async with asyncio.timeout(20):
        while not server._node_passwords.ready:
            await asyncio.sleep(0.01)


def supervisor(config: NodeConfig, *, port: int = 0, **changes: Any) -> SupervisorServer:
    tunnel = TunnelServer()
    dialer = Dialer(Routes(), tunnel, config.node.name)
    return SupervisorServer(
        config, PASSWD, **{"tunnel": tunnel, "dialer": dialer, "etcd": None, "port": port, **changes}
    )


def configured(root: Path, **changes: Any) -> NodeConfig:
    network = {"bind_address": "127.0.0.1", **changes.pop("network", {})}
    config = server_config(paths_under(root), network=network, **changes)
    ensure_server_pki(config)
    return config


async def test_ping_and_cacerts_need_no_credentials(running: Running) -> None:
    ping, bundle = await running.client.ask("/ping"), await running.client.ask("/cacerts")
    assert (ping.status, ping.body) == (200, b"pong")
    assert ping.headers["content-type"].startswith("text/plain")
    assert bundle.body == (running.config.paths.tls / "server-ca.crt").read_bytes()
    assert bundle.headers["content-type"].startswith("text/plain")


async def test_readiness_follows_the_api(running: Running) -> None:
    waiting = await running.client.ask(READYZ, NODE)
    assert json.loads(waiting.body) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "runtime core not ready",
        "reason": "ServiceUnavailable",
        "code": 503,
    }
    await running.become_ready()
    assert (await running.client.ask(READYZ, NODE)).body == b"ok"


@pytest.mark.parametrize(
    ("user", "headers", "status", "message"),
    [
        ("", {}, 403, "forbidden"),
        ("node:wrong", {}, 401, "not authorized"),
        ("nobody:for agents", {}, 401, "not authorized"),
        ("node", {}, 401, "not authorized"),
        ("", {"Authorization": "Basic %%%"}, 401, "not authorized"),
        ("", {"Authorization": "Bearer abcdef.0123456789abcdef"}, 401, "not authorized"),
    ],
)
async def test_wrong_credentials(
    running: Running, user: str, headers: dict[str, str], status: int, message: str
) -> None:
    answer = await running.client.ask(READYZ, user, **headers)
    assert (answer.status, answer.message) == (status, message)


async def test_agents_may_not_do_what_servers_may(running: Running) -> None:
    assert (await running.client.ask("/v1-rke2/token", NODE, method="PUT")).status == 403
    assert (await running.client.ask("/v1-rke2/token", SERVER, method="PUT")).status == 503


async def test_client_certificates_authenticate(running: Running) -> None:
    await running.become_ready()
    kubelet = running.presenting(running.config.paths.agent / "client-kubelet")
    apiserver = running.presenting(running.config.paths.tls / "client-kube-apiserver")
    assert (await kubelet.ask(READYZ)).status == 200
    assert (await kubelet.ask("/v1-rke2/connect")).status == 400
    assert (await apiserver.ask("/v1-rke2/connect")).status == 403
    assert (await apiserver.ask("127.0.0.1:1", method="CONNECT")).status == 502
    assert (await kubelet.ask("127.0.0.1:1", method="CONNECT")).status == 403
    assert (await running.client.ask("127.0.0.1:1", method="CONNECT")).status == 403


async def test_a_certificate_helps_where_the_password_is_wrong(running: Running) -> None:
    await running.become_ready()
    kubelet = running.presenting(running.config.paths.agent / "client-kubelet")
    assert (await kubelet.ask(READYZ, "node:wrong")).status == 200


async def test_a_certificate_of_another_authority_ends_the_handshake(
    running: Running, tmp_path: Path
) -> None:
    key = new_key()
    place(tmp_path / "stranger", pem(certify("system:masters", key, "system:masters", key, ca=False)), key)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await running.presenting(tmp_path / "stranger").ask(READYZ)
    assert (await running.client.ask("/ping")).status == 200


async def test_unknown_paths_never_ask_for_credentials(running: Running) -> None:
    answer = await running.client.ask("/nowhere", "node:wrong")
    assert (answer.status, answer.message) == (503, "apiserver not ready")
    await running.become_ready()
    assert (await running.client.ask("/nowhere")).status == 404
    assert (await running.client.ask("//ping")).status == 404
    assert (await running.client.ask("/ping/")).status == 404


async def test_a_method_that_is_not_the_routes_is_refused(running: Running) -> None:
    assert (await running.client.ask("/v1-rke2/token", SERVER)).status == 405
    assert (await running.client.ask("/v1-rke2/server-bootstrap", SERVER, method="POST")).status == 405
    assert (await running.client.ask("/cacerts", method="POST")).status == 200
    assert (await running.client.ask("/ping", method="POST")).status == 200


async def test_etcd_members_are_told_to_the_own_machine(running: Running) -> None:
    assert (await running.client.ask("/db/info")).message == "etcd disabled"
    assert (await running.client.ask("/db/snapshot", method="POST")).status == 403


async def test_a_broken_request_does_not_disturb_others(running: Running) -> None:
    assert (await running.client.send(b"NONSENSE\r\n\r\n")).status == 400
    assert (await running.client.ask("/ping", Filler="x" * 10_000)).status == 400
    assert (await running.client.ask("/ping")).status == 200


async def test_only_modern_tls(running: Running) -> None:
    context = running.client.context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    _, writer = await asyncio.open_connection("127.0.0.1", running.server.port, ssl=context)
    tls = writer.get_extra_info("ssl_object")
    assert tls.cipher()[0].startswith("ECDHE-ECDSA-")
    assert tls.selected_alpn_protocol() == "http/1.1"
    writer.close()


async def test_the_apiservers_tls_settings_hold_here_too(tmp_path: Path) -> None:
    args = ("tls-min-version=VersionTLS13", "tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")
    config = configured(tmp_path, components={"kube-apiserver": ComponentSettings(args=args)})
    server = supervisor(config, port=0)
    await server.start()
    context = Client(server.port, config.paths.tls / "server-ca.crt").context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
    await server.stop()


@pytest.mark.parametrize(
    "arg", ["tls-min-version=VersionTLS10", "tls-cipher-suites=TLS_RSA_WITH_RC4_128_SHA"]
)
async def test_unusable_tls_settings_are_named(tmp_path: Path, arg: str) -> None:
    config = configured(tmp_path, components={"kube-apiserver": ComponentSettings(args=(arg,))})
    with pytest.raises(ConfigError, match=arg.partition("=")[0]):
        await supervisor(config, port=0).start()


async def test_a_port_in_use_is_named_with_its_holder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(HostError, match=rf"port {port}.*python"):
            await supervisor(configured(tmp_path), port=port).start()


async def test_an_address_of_another_machine_cannot_be_bound(tmp_path: Path) -> None:
    config = configured(tmp_path, network={"bind_address": "192.0.2.200"})
    with pytest.raises(ConfigError, match=r"bind-address: 192\.0\.2\.200"):
        await supervisor(config, port=0).start()


async def test_loopback_is_bound_besides_a_chosen_address(tmp_path: Path) -> None:
    config = configured(tmp_path, network={"bind_address": "127.0.0.2"})
    server = supervisor(config, port=0)
    await server.start()
    client = Client(server.port, config.paths.tls / "server-ca.crt")
    assert (await client.ask("/ping")).body == b"pong"
    assert (await replace(client, host="127.0.0.2").ask("/ping")).body == b"pong"
    await server.stop()


async def test_stopping_frees_the_port_with_clients_connected(tmp_path: Path) -> None:
    config = configured(tmp_path)
    server = supervisor(config, port=0)
    await server.start()
    client = Client(server.port, config.paths.tls / "server-ca.crt")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=client.context())
    writer.write(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"pong")
    async with asyncio.timeout(1):
        await server.stop()
        assert await reader.read() == b""
    writer.close()
    again = supervisor(config, port=server.port)
    await again.start()
    assert (await client.ask("/ping")).status == 200
    await again.stop()
