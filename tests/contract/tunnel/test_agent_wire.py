"""An agent's end, byte by byte, against a supervisor made by hand."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from rke2.tunnel import session
from rke2.tunnel.authorizer import Authorizer
from rke2.tunnel.client import TunnelAgent
from rke2.tunnel.session import Authorize, Target, TunnelTiming
from rke2.tunnel.stream import Stream, pipe
from tests.authorities import certify, name_of, new_key, pem, place
from tests.contract.tunnel.rawsocket import CLOSE, PING, PONG, RawSocket, accept
from tests.unit.tunnel.ends import echo, target, until

DEADLINE = b"\xb0\xea\x01"


class Supervisor:
    """Accepts agents; each arrives in `agents` with the head of its request and the subject it presented."""

    def __init__(self) -> None:
        self.agents: asyncio.Queue[tuple[str, str, RawSocket]] = asyncio.Queue()
        self.address = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        certificate = x509.load_der_x509_certificate(writer.get_extra_info("ssl_object").getpeercert(True))
        head, socket = await accept(reader, writer)
        await self.agents.put((head, certificate.subject.rfc4514_string(), socket))

    async def agent(self) -> RawSocket:
        return (await self.agents.get())[2]


class Trust:
    """A CA, a server certificate for 127.0.0.1 and one for elsewhere, an agent's certificate."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = new_key()
        ca = certify("server-ca", self._key, "server-ca", self._key)
        (folder / "ca.crt").write_bytes(pem(ca))
        self._issue("here", ipaddress.ip_address("127.0.0.1"))
        self._issue("elsewhere", ipaddress.ip_address("192.0.2.1"))
        self._issue("system:node:worker", None)

    def server(self, name: str) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.folder / "ca.crt")
        context.load_cert_chain(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def agent(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.folder / "ca.crt")
        context.load_cert_chain(
            self.folder / "system:node:worker.crt", self.folder / "system:node:worker.key"
        )
        return context

    def _issue(self, name: str, ip: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> None:
        key, now = new_key(), datetime.now(UTC)
        builder = x509.CertificateBuilder(
            name_of("server-ca"), name_of(name), key.public_key(), x509.random_serial_number(), now, now
        )
        if ip:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip)]), False)
        builder._not_valid_before, builder._not_valid_after = [
            (now + timedelta(hours=hours)).replace(tzinfo=None) for hours in (-1, 1)
        ]
        place(self.folder / name, pem(builder.sign(self._key, hashes.SHA256())), key)


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return Trust(tmp_path_factory.mktemp("trust"))


@asynccontextmanager
async def supervisor(context: ssl.SSLContext, port: int = 0) -> AsyncIterator[Supervisor]:
    made = Supervisor()
    server = await asyncio.start_server(made.serve, "127.0.0.1", port, ssl=context)
    made.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()


@asynccontextmanager
async def running(agent: TunnelAgent, *servers: str) -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    agent.set_servers(list(servers))
    task = asyncio.create_task(agent.run())
    try:
        async with asyncio.timeout(30):
            yield
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()
    await until(lambda: not {each for each in asyncio.all_tasks() - before if "tunnel" in repr(each)})


def any_port(network: str, address: str) -> Target | None:
    host, _, port = address.rpartition(":")
    return (host, int(port)) if network == "tcp" else None


def agent_of(
    trust: Trust, authorize: Authorize = any_port, timing: TunnelTiming | None = None
) -> TunnelAgent:
    return TunnelAgent(trust.agent, authorize, timing=timing or TunnelTiming(), retry=0.05)


async def test_the_request_and_the_golden_bytes_of_a_connection(trust: Trust) -> None:
    async with (
        supervisor(trust.server("here")) as server,
        target(echo) as address,
        running(agent_of(trust), server.address),
    ):
        head, subject, agent = await server.agents.get()
        assert head.startswith("GET /v1-rke2/connect HTTP/1.1\r\n")
        assert "extensions" not in head.lower()
        assert subject == "CN=system:node:worker"
        await agent.send(b"\x02\x04\x04" + DEADLINE + address.encode())
        await agent.send(b"\x04\x04\x02" + DEADLINE + b"hello")
        assert await agent.body() == b"\x04\x02" + DEADLINE + b"hello"
        await agent.send(b"\x06\x04\x06EOF")
        await agent.send(b"\x08\x04\x02" + DEADLINE + b"too late")
        assert (await agent.body()).startswith(b"\x04\x06connection not found")


async def test_the_target_closes(trust: Trust) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"bye")

    async with (
        supervisor(trust.server("here")) as server,
        target(greet) as address,
        running(agent_of(trust), server.address),
    ):
        agent = await server.agent()
        await agent.send(b"\x02\x04\x04" + DEADLINE + address.encode())
        assert await agent.body() == b"\x04\x02" + DEADLINE + b"bye"
        assert await agent.body() == b"\x04\x06EOF"


async def test_a_refused_dial_is_told(trust: Trust) -> None:
    async with target(echo) as address:
        pass
    async with supervisor(trust.server("here")) as server, running(agent_of(trust), server.address):
        agent = await server.agent()
        await agent.send(b"\x02\x04\x04" + DEADLINE + address.encode())
        answer = await agent.body()
        assert answer.startswith(b"\x04\x06dial tcp 127.0.0.1:")
        assert answer.endswith(b"Connection refused")


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"\x02\x04\x04" + DEADLINE + b"tcp/127.0.0.1:22", id="not allowed"),
        pytest.param(b"\x02\x04\x04" + DEADLINE + b"tcp/" + b"1" * 300, id="long address"),
        pytest.param(b"\x02\x04\x04" + DEADLINE + b"127.0.0.1:10250", id="no protocol"),
        pytest.param(b"\x02\x04\x04", id="cut"),
    ],
)
async def test_what_is_not_allowed_ends_the_session_and_it_comes_again(trust: Trust, message: bytes) -> None:
    agent = agent_of(trust, Authorizer("agent"))
    async with supervisor(trust.server("here")) as server, running(agent, server.address):
        socket = await server.agent()
        await socket.send(message)
        await socket.closed()
        assert await server.agent()


async def test_pings_and_the_list_of_connections(trust: Trust) -> None:
    timing = TunnelTiming(ping=0.05, sync=0.3)
    async with (
        supervisor(trust.server("here")) as server,
        target(echo) as address,
        running(agent_of(trust, timing=timing), server.address),
    ):
        agent = await server.agent()
        assert await agent.receive() == (PING, b"")
        await agent.send(b"", PONG)
        assert await agent.body() == b"\x00\x10"
        await agent.send(b"\x02\x04\x04" + DEADLINE + address.encode())
        await agent.send(b"\x02\x06\x04" + DEADLINE + address.encode())
        while (listed := await agent.body()) == b"\x00\x10":
            pass
        assert listed == b"\x00\x10" + (2).to_bytes(8, "little") + (3).to_bytes(8, "little")


async def test_states_are_told_and_servers_come_and_go(trust: Trust) -> None:
    told: list[tuple[str, bool]] = []
    agent = TunnelAgent(
        trust.agent, any_port, on_state=lambda server, connected: told.append((server, connected)), retry=0.05
    )
    async with (
        supervisor(trust.server("here")) as one,
        supervisor(trust.server("here")) as two,
        running(agent, one.address),
    ):
        first = await one.agent()
        await until(lambda: agent.connected(one.address))
        assert not agent.connected(two.address)
        agent.set_servers([two.address])
        await first.closed()
        second = await two.agent()
        await until(lambda: agent.connected(two.address))
        assert not agent.connected(one.address)
        second.drop()
        await two.agent()
        await until(lambda: agent.connected(two.address))
        assert told == [
            (one.address, True),
            (one.address, False),
            (two.address, True),
            (two.address, False),
            (two.address, True),
        ]


async def test_a_server_that_closes_is_dialled_again(trust: Trust) -> None:
    async with supervisor(trust.server("here")) as server, running(agent_of(trust), server.address):
        agent = await server.agent()
        await agent.send(b"\x03\xe8", CLOSE)
        assert await server.agent()


async def test_a_certificate_for_another_address_is_refused(trust: Trust) -> None:
    agent = agent_of(trust)
    async with supervisor(trust.server("elsewhere")) as server, running(agent, server.address):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(server.agent(), 0.5)
        assert not agent.connected(server.address)


async def test_certificates_are_read_for_every_connection(trust: Trust) -> None:
    used = 0

    def tls() -> ssl.SSLContext:
        nonlocal used
        used += 1
        if used == 1:
            raise FileNotFoundError("client-kubelet.crt")
        return trust.agent()

    async with (
        supervisor(trust.server("here")) as server,
        running(TunnelAgent(tls, any_port, retry=0.05), server.address),
    ):
        (await server.agent()).drop()
        await server.agent()
        assert used == 3


async def test_a_server_that_is_away_is_told_of_once(trust: Trust, caplog: pytest.LogCaptureFixture) -> None:
    contexts: list[ssl.SSLContext] = []

    def tls() -> ssl.SSLContext:
        contexts.append(trust.agent())
        return contexts[-1]

    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        async with running(TunnelAgent(tls, any_port, retry=0.01), address):
            await until(lambda: len(contexts) > 4)
    (told,) = (record.getMessage() for record in caplog.records)
    assert told.startswith(f"tunnel to server {address}: Connect call failed")


async def test_a_fault_with_one_connection_attempt_ends_no_tunnel(trust: Trust) -> None:
    errors = [ZeroDivisionError("a fault of ours"), KeyError("another one")]

    def tls() -> ssl.SSLContext:
        if errors:
            raise errors.pop()
        return trust.agent()

    async with (
        supervisor(trust.server("here")) as one,
        supervisor(trust.server("here")) as two,
        running(TunnelAgent(tls, any_port, retry=0.05), one.address, two.address),
    ):
        await one.agent()
        await two.agent()


async def test_a_fault_in_a_session_ends_only_that_session(trust: Trust) -> None:
    def authorize(network: str, address: str) -> Target | None:
        raise ZeroDivisionError("a fault of ours")

    async with (
        supervisor(trust.server("here")) as server,
        running(agent_of(trust, authorize), server.address),
    ):
        agent = await server.agent()
        await agent.send(b"\x02\x04\x04" + DEADLINE + b"tcp/127.0.0.1:1")
        await agent.closed()
        assert await server.agent()


async def test_a_fault_with_one_connection_leaves_the_others_of_the_session(
    trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [ZeroDivisionError("a fault of ours")]

    async def fails_once(*streams: Stream) -> None:
        if errors:
            raise errors.pop()
        await pipe(*streams)

    monkeypatch.setattr(session, "pipe", fails_once)
    async with (
        supervisor(trust.server("here")) as server,
        target(echo) as address,
        running(agent_of(trust), server.address),
    ):
        agent = await server.agent()
        await agent.send(b"\x02\x04\x04" + DEADLINE + address.encode())
        assert b"ZeroDivisionError" in await agent.body()
        await agent.send(b"\x04\x06\x04" + DEADLINE + address.encode())
        await agent.send(b"\x06\x06\x02" + DEADLINE + b"hello")
        assert await agent.body() == b"\x06\x02" + DEADLINE + b"hello"
