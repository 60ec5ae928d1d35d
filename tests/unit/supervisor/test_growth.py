"""The serving certificate at run time: which names it gains, and how servers agree on one."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from rke2.config.model import NodeConfig
from rke2.join.passwd import Passwd
from rke2.kube.objects import Object
from rke2.kube.resources import NODES, SECRETS
from rke2.pki.authority import find_authority
from rke2.pki.catalog import SERVER_CA, Usage
from rke2.pki.names import AltNames
from rke2.pki.pem import key_pem
from rke2.pki.server_pki import ensure_server_pki
from rke2.supervisor import connections, growth
from rke2.supervisor.growth import GrowingCertificate
from rke2.supervisor.serving import FILE, SUBJECT, ServingCertificate, initial_names, issue, store
from rke2.supervisor.serving_secret import keep_in_step, reconcile
from rke2.supervisor.slots import Passwords, Slots
from tests.authorities import new_key
from tests.configs import paths_under, server_config
from tests.unit.supervisor.client import Client
from tests.unit.supervisor.kube import Kube, core_over
from tests.unit.supervisor.test_server import Running, configured, supervisor


@dataclass
class Growing:
    """A certificate that is stored below `config`, and whether it admits new names."""

    config: NodeConfig
    admitted: list[str] = field(default_factory=list)

    def start(self) -> GrowingCertificate:
        slots = Slots.read(self.config.paths.tls, Passwords(Passwd("", "")))
        return GrowingCertificate(self.config, slots.server_ca, slots.client_ca, self._admits)

    def _admits(self, name: str) -> bool:
        self.admitted.append(name)
        return not name.startswith("refused")


@pytest.fixture
def growing(tmp_path: Path) -> Growing:
    config = server_config(paths_under(tmp_path))
    ensure_server_pki(config)
    return Growing(config)


def names(certificate: GrowingCertificate) -> set[str]:
    return set(certificate.current.names.entries())


def test_it_gains_names_and_keeps_its_key(growing: Growing) -> None:
    certificate = growing.start()
    key, context = certificate.current.key, certificate.context
    certificate.gain("LB.example.org")
    certificate.gain("::ffff:192.0.2.9")
    assert {"lb.example.org", "192.0.2.9"} <= names(certificate)
    assert certificate.current.key == key
    assert certificate.context is not context


def test_a_name_it_has_costs_nothing(growing: Growing) -> None:
    certificate = growing.start()
    before = certificate.current
    certificate.gain("127.0.0.1")
    certificate.gain("kubernetes")
    assert certificate.current is before
    assert growing.admitted == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        "*.example.org",
        "refused.org",
        "0.0.0.0",
        "fe80::1",
        "fe80::1%eth0",
        "2001:db8::1%eth0",
        "::",
        "224.0.0.1",
        "a b",
        "ä.org",
        "x" * 300,
        "a/b",
    ],
)
def test_names_it_does_not_gain(growing: Growing, name: str) -> None:
    certificate = growing.start()
    before = certificate.current
    certificate.gain(name)
    assert certificate.current is before


def test_it_does_not_grow_without_end(growing: Growing) -> None:
    certificate = growing.start()
    for number in range(400):
        certificate.gain(f"n{number}.example.org")
    assert len(names(certificate)) == 250


async def test_changes_are_stored(growing: Growing) -> None:
    certificate = growing.start()
    running = asyncio.create_task(certificate.run())
    certificate.gain("lb.example.org")
    await until(lambda: "lb.example.org" in (growing.config.paths.tls / FILE).read_text())
    running.cancel()
    assert "lb.example.org" in names(growing.start())


@pytest.mark.timeout(60)
async def test_a_change_that_could_not_be_stored_is_tried_again(
    growing: Growing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = growing.start()
    monkeypatch.setattr("rke2.supervisor.growth._STORE_AGAIN", (0.01, 0.05))
    file = growing.config.paths.tls / FILE
    file.unlink()
    file.mkdir()
    (file / "in the way").touch()
    running = asyncio.create_task(certificate.run())
    certificate.gain("lb.example.org")
    await until(lambda: "cannot be stored" in caplog.text)
    await asyncio.sleep(0.5)
    assert caplog.text.count("cannot be stored") == 1, "one error is told once"
    (file / "in the way").unlink()
    file.rmdir()
    await until(file.is_file)
    running.cancel()
    assert "lb.example.org" in names(growing.start())


async def test_a_change_that_was_not_stored_when_the_service_ended_is_stored_by_the_next(
    growing: Growing, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = growing.start()

    def fail(config: NodeConfig, serving: ServingCertificate) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(growth, "store", fail)
    certificate.gain("lb.example.org")
    with pytest.raises(ExceptionGroup):
        await certificate.run()
    monkeypatch.setattr(growth, "store", store)
    running = asyncio.create_task(certificate.run())
    await until(lambda: "lb.example.org" in (growing.config.paths.tls / FILE).read_text())
    running.cancel()


def test_renewal_takes_a_new_key_and_keeps_the_names(growing: Growing) -> None:
    authority, key = find_authority(growing.config.paths.tls, SERVER_CA), new_key()
    assert authority
    certificate = growing.start()
    certificate.renew_if_due()
    before = certificate.current
    old = initial_names(growing.config) | AltNames.of("lb.example.org")
    content = authority.sign(key.public_key(), SUBJECT, Usage.SERVER, old, timedelta(days=100))
    certificate.slot.exchange(ServingCertificate(content, key_pem(key)))
    certificate.renew_if_due()
    assert names(certificate) == set(old.entries())
    assert certificate.current.key not in (before.key, key_pem(key))


# --- the Secret ------------------------------------------------------------------------------------
async def live(kube: Kube) -> Object:
    return await kube.get(SECRETS, "rke2-serving", "kube-system")


async def test_the_first_server_makes_the_secret(growing: Growing) -> None:
    kube, certificate = Kube(), growing.start()
    await reconcile(kube, certificate)  # type: ignore[arg-type]
    secret = await live(kube)
    assert secret["type"] == "kubernetes.io/tls"
    assert secret["data"] == certificate.current.secret()["data"]
    assert secret["metadata"]["annotations"]["listener.cattle.io/cn-node1"] == "node1"


async def test_servers_come_to_the_same_certificate(growing: Growing) -> None:
    kube, first = Kube(), growing.start()
    (growing.config.paths.tls / FILE).unlink()
    second = growing.start()
    first.gain("first.example.org")
    second.gain("second.example.org")
    for certificate in (first, second, first):
        await reconcile(kube, certificate)  # type: ignore[arg-type]
    assert first.current == second.current
    assert {"first.example.org", "second.example.org"} <= names(first)
    assert (await live(kube))["data"] == first.current.secret()["data"]


async def test_a_secret_of_another_authority_or_none_is_replaced(growing: Growing, tmp_path: Path) -> None:
    other = server_config(paths_under(tmp_path / "other"))
    ensure_server_pki(other)
    authority = find_authority(other.paths.tls, SERVER_CA)
    assert authority
    stranger = issue(authority, AltNames.of("stranger.example.org")).secret()
    broken = {**stranger, "data": {"tls.crt": "eA==", "tls.key": "eA=="}}
    for secret in (stranger, broken):
        kube, certificate = Kube(), growing.start()
        kept = {**secret["metadata"], "labels": {"a": "b"}}
        kube.put(SECRETS, {**secret, "metadata": kept})
        await reconcile(kube, certificate)  # type: ignore[arg-type]
        assert (await live(kube))["data"] == certificate.current.secret()["data"]
        assert (await live(kube))["metadata"]["labels"] == {"a": "b"}
        assert "stranger.example.org" not in json.dumps(await live(kube))


async def test_changes_go_both_ways(growing: Growing) -> None:
    kube, certificate = Kube(), growing.start()
    task = asyncio.create_task(keep_in_step(kube, certificate))  # type: ignore[arg-type]
    await until_async(kube, lambda secret: secret["data"] == certificate.current.secret()["data"])
    certificate.gain("mine.example.org")
    await until_async(kube, lambda secret: "mine.example.org" in json.dumps(secret))
    authority = find_authority(growing.config.paths.tls, SERVER_CA)
    assert authority
    theirs = issue(authority, certificate.current.names | AltNames.of("theirs.example.org"))
    kube.put(SECRETS, theirs.secret())
    await until(lambda: certificate.current == theirs)
    task.cancel()


async def test_a_service_that_is_restarted_listens_once(growing: Growing) -> None:
    kube, certificate = Kube(), growing.start()
    listeners = len(certificate.slot._listeners)
    for _ in range(3):
        task = asyncio.create_task(keep_in_step(kube, certificate))  # type: ignore[arg-type]
        await until(lambda: len(certificate.slot._listeners) == listeners + 1)
        task.cancel()
        await asyncio.wait([task])
    assert len(certificate.slot._listeners) == listeners


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def until_async(kube: Kube, condition: Callable[[Object], bool]) -> None:
    async with asyncio.timeout(20):
        while not ((found := await kube.find(SECRETS, "rke2-serving", "kube-system")) and condition(found)):
            await asyncio.sleep(0.01)


# --- in the server ---------------------------------------------------------------------------------
def served_names(port: int, ca: Path, server_name: str = "") -> set[str]:
    """What the certificate of a new connection names; a client that asks for `server_name` in TLS, or for nothing."""
    context = ssl.create_default_context(cafile=str(ca))
    context.check_hostname = False
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname=server_name or None) as tls,
    ):
        found = tls.getpeercert()
        assert found
        return {str(name[1]) for name in found["subjectAltName"]}


async def test_who_comes_first_adds_nothing_foreign(tmp_path: Path) -> None:
    """Before the API is up."""
    config = configured(tmp_path, network={"bind_address": "127.0.0.3"})
    server = supervisor(config)
    await server.start()
    ca = config.paths.tls / "server-ca.crt"
    client = Client(server.port, ca)
    before = await asyncio.to_thread(served_names, server.port, ca)
    foreign = ("asked.example.org", "kubernetes.example.org", "192.0.2.1.example.org")
    for name in foreign:
        assert await asyncio.to_thread(served_names, server.port, ca, name) == before
    for host in ("198.51.100.1:9345", "[2001:db8::50]:9345", "named.example.org", "10.43.0.7", "169.254.1.1"):
        await send(client, host)
    assert await asyncio.to_thread(served_names, server.port, ca) == before
    await server.stop()


async def test_the_address_that_was_connected_to_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is this machine's; but neither those of its loopback nor of Services are for others."""
    reached = iter(["192.0.2.50", "10.43.0.7", "127.0.0.9", "fe80::1%eth0", "", "192.0.2.50"])
    monkeypatch.setattr(connections, "_local", lambda client: next(reached))
    config = configured(tmp_path)
    server = supervisor(config)
    await server.start()
    ca = config.paths.tls / "server-ca.crt"
    before = set(initial_names(config).entries())
    for _ in range(6):
        found = await asyncio.to_thread(served_names, server.port, ca)
    assert found == {*before, "192.0.2.50"} - {"::1"} | {"0:0:0:0:0:0:0:1"}
    await server.stop()


async def test_afterwards_addresses_of_servers_are_added(tmp_path: Path) -> None:
    config = configured(tmp_path, network={"bind_address": "127.0.0.3"})
    server = supervisor(config)
    await server.start()
    ca = config.paths.tls / "server-ca.crt"
    client = Client(server.port, ca)
    found = Running(config, server, client, Kube())
    meta = {"name": "server2", "labels": {"node-role.kubernetes.io/control-plane": "true"}}
    addresses = [{"type": "InternalIP", "address": text} for text in ("192.0.2.60", "2001:DB8:0::60")]
    found.kube.put(NODES, {"metadata": meta, "status": {"addresses": addresses}})
    found.kube.put(
        NODES, {"metadata": {"name": "agent"}, "status": {"addresses": [{"address": "192.0.2.61"}]}}
    )
    await found.become_ready()
    await send(client, "192.0.2.60", "Mozilla/5.0")
    assert "192.0.2.60" not in await asyncio.to_thread(served_names, server.port, ca)
    for host in ("192.0.2.60", "[2001:db8::60]:9345", "192.0.2.61"):
        await send(client, host)
    late = await asyncio.to_thread(served_names, server.port, ca, "late.example.org")
    assert {"192.0.2.60", "2001:DB8:0:0:0:0:0:60"} <= late
    assert not {"192.0.2.61", "late.example.org"} & late
    await found.end()


async def test_without_the_filter_every_name_is_taken(tmp_path: Path) -> None:
    config = configured(tmp_path, network={"tls_san_security": False})
    server = supervisor(config)
    await server.start()
    core = core_over(Kube(), config)
    server.core.publish(core)
    ca = config.paths.tls / "server-ca.crt"
    assert "late.example.org" in await asyncio.to_thread(served_names, server.port, ca, "late.example.org")
    await server.stop()


async def send(client: Client, host: str, agent: str = "curl") -> None:
    request = f"GET /ping HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n"
    assert (await client.send(request.encode())).status == 200
