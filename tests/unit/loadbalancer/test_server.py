"""The load balancer with real sockets. Servers are `Peer`s; timing is short except where it is what is tested."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from rke2.errors import HostError
from rke2.loadbalancer.balancer import ServerHealth, State
from rke2.loadbalancer.dialing import DialTiming
from rke2.loadbalancer.server import LoadBalancer
from tests.patience import HANG_SECONDS

URL = "https://join.example:9345"
FAST = DialTiming(patience=0.2, limit=1.0, pause=0.05, check=0.01)
UNHURRIED = DialTiming(patience=HANG_SECONDS, limit=HANG_SECONDS, pause=0.05, check=0.01)
"""Where a server that is slow, because the machine is, must not be taken for one that is silent."""


class Peer:
    """A server that says its name and then echoes."""

    def __init__(self, name: str, host: str = "127.0.0.1") -> None:
        self.name = name
        self.host = host
        self.port = 0
        self.accepted = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.host, self.port, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """As if the process were killed."""
        if self._server:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        with contextlib.suppress(OSError):
            writer.write(f"{self.name}\n".encode())
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        self._writers.discard(writer)
        writer.close()


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def greeting(self) -> str:
        async with asyncio.timeout(HANG_SECONDS):
            return (await self.reader.readline()).decode().strip()

    async def ask(self, data: bytes) -> bytes:
        self.writer.write(data)
        async with asyncio.timeout(HANG_SECONDS):
            return await self.reader.readexactly(len(data))

    async def end(self) -> None:
        """Returns when the other side has closed."""
        async with asyncio.timeout(HANG_SECONDS):
            with contextlib.suppress(OSError):
                while await self.reader.read(1 << 16):
                    pass
        self.writer.close()


class Cluster:
    """Peers, what health checks say about them, and load balancers in front of them."""

    def __init__(self, directory: Path) -> None:
        self.state_file = directory / "etc" / "rke2-agent-load-balancer.json"
        self.health: dict[str, ServerHealth] = {}
        self._peers: list[Peer] = []
        self._balancers: list[LoadBalancer] = []
        self._watching: list[asyncio.Task[None]] = []
        self._clients: list[Client] = []

    async def peer(self, name: str, host: str = "127.0.0.1") -> Peer:
        peer = Peer(name, host)
        await peer.start()
        self._peers.append(peer)
        return peer

    async def balancer(
        self, default: str, *servers: str, timing: DialTiming = FAST, host: str = "127.0.0.1", url: str = URL
    ) -> LoadBalancer:
        made = LoadBalancer(
            "rke2-agent-load-balancer",
            0,
            url,
            self.state_file,
            default=default,
            health=lambda address: self.health.get(address, ServerHealth.UNKNOWN),
            host=host,
            timing=timing,
        )
        self._balancers.append(made)
        await made.start()
        self._watching.append(asyncio.create_task(made.watch_health()))
        made.set_servers(servers)
        return made

    async def end(self, balancer: LoadBalancer) -> None:
        watching = self._watching[self._balancers.index(balancer)]
        watching.cancel()
        await asyncio.wait([watching])
        await balancer.close()

    async def connect(self, balancer: LoadBalancer, host: str = "127.0.0.1") -> Client:
        client = Client(*await asyncio.open_connection(host, balancer.port))
        self._clients.append(client)
        return client

    async def close(self) -> None:
        for client in self._clients:
            client.writer.transport.abort()
        for balancer in self._balancers:
            await self.end(balancer)
        for peer in self._peers:
            await peer.stop()


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    await made.close()


async def server_of(balancer: LoadBalancer) -> str:
    """The name of the server a new client gets; empty if none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port)
    name = await Client(reader, writer).greeting()
    writer.close()
    return name


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(HANG_SECONDS):
        while not condition():
            await asyncio.sleep(0.005)


def state(balancer: LoadBalancer, peer: Peer) -> State:
    return next((s.state for s in balancer.snapshot() if s.address == peer.address), State.INVALID)


def connections(balancer: LoadBalancer) -> dict[str, int]:
    return {server.address: server.connections for server in balancer.snapshot()}


@contextlib.contextmanager
def without_power() -> Iterator[str]:
    """The address of a server that neither accepts nor refuses: its backlog is full, so the kernel drops SYNs."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def refusing() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


async def test_the_default_server_is_used_until_the_list_is_known(cluster: Cluster) -> None:
    default = await cluster.peer("default")
    balancer = await cluster.balancer(default.address)
    client = await cluster.connect(balancer)
    assert await client.greeting() == "default"
    assert await client.ask(b"hello") == b"hello"
    assert [(s.state, s.connections) for s in balancer.snapshot()] == [(State.STANDBY, 1)]
    client.writer.close()
    await until(lambda: connections(balancer)[default.address] == 0)


async def test_listed_servers_drain_the_default(cluster: Cluster) -> None:
    default, a, b = [await cluster.peer(name) for name in ("default", "a", "b")]
    balancer = await cluster.balancer(default.address)
    client = await cluster.connect(balancer)
    await client.greeting()
    cluster.health |= {a.address: ServerHealth.OK, b.address: ServerHealth.OK}
    balancer.set_servers([a.address, b.address])
    assert await client.ask(b"still there") == b"still there"
    again = await cluster.connect(balancer)
    name = await again.greeting()
    assert name in ("a", "b")
    await client.end()
    assert await again.ask(b"x") == b"x"
    assert [s.state for s in balancer.snapshot() if s.connections] == [State.ACTIVE]


async def test_a_killed_server_is_replaced_at_once(cluster: Cluster) -> None:
    a, b = await cluster.peer("a"), await cluster.peer("b")
    balancer = await cluster.balancer(a.address, a.address, b.address)
    client = await cluster.connect(balancer)
    assert await client.greeting() == "a"
    await a.stop()
    await client.end()
    assert await server_of(balancer) == "b"
    assert state(balancer, a) is State.FAILED


async def test_a_server_that_fails_its_health_check_loses_its_connections(cluster: Cluster) -> None:
    a, b = await cluster.peer("a"), await cluster.peer("b")
    cluster.health |= {a.address: ServerHealth.OK, b.address: ServerHealth.OK}
    balancer = await cluster.balancer(a.address, a.address, b.address)
    clients = [await cluster.connect(balancer) for _ in range(5)]
    first = {await client.greeting() for client in clients}
    assert len(first) == 1
    failed, other = (a, b) if first == {"a"} else (b, a)
    await until(lambda: state(balancer, failed) is State.ACTIVE)
    cluster.health[failed.address] = ServerHealth.FAILED
    await asyncio.gather(*(client.end() for client in clients))
    assert await server_of(balancer) == other.name


async def test_a_server_that_comes_back_is_first_recovering_then_preferred(cluster: Cluster) -> None:
    a, b = await cluster.peer("a"), await cluster.peer("b")
    slow_checks = DialTiming(patience=0.2, limit=1.0, pause=0.05, check=0.3)
    balancer = await cluster.balancer(a.address, a.address, b.address, timing=slow_checks)
    await a.stop()
    client = await cluster.connect(balancer)
    assert await client.greeting() == "b"
    assert state(balancer, a) is State.FAILED
    await a.start()
    cluster.health |= {a.address: ServerHealth.OK, b.address: ServerHealth.OK}
    seen = [State.FAILED]

    def preferred() -> bool:
        if (now := state(balancer, a)) is not seen[-1]:
            seen.append(now)
        return now is State.PREFERRED

    await until(preferred)
    assert seen == [State.FAILED, State.RECOVERING, State.PREFERRED]
    assert await client.ask(b"undisturbed") == b"undisturbed"
    assert await server_of(balancer) == "b"


async def test_a_server_without_power_costs_the_patience_once(cluster: Cluster) -> None:
    b = await cluster.peer("b")
    with without_power() as dead:
        patient = DialTiming(patience=0.5, limit=30.0, pause=0.05, check=0.01)
        balancer = await cluster.balancer(dead, dead, b.address, timing=patient)
        now = asyncio.get_running_loop().time
        started = now()
        assert await server_of(balancer) == "b"
        first = now() - started
        started = now()
        assert await server_of(balancer) == "b"
        assert 0.5 <= first < 15
        assert now() - started < 0.5
        assert connections(balancer).keys() == {dead, b.address}
        assert next(s.state for s in balancer.snapshot() if s.address == dead) is State.FAILED


async def test_a_slow_server_is_not_given_up_for_others_that_fail(cluster: Cluster) -> None:
    with without_power() as slow, without_power() as other:
        balancer = await cluster.balancer(slow, slow, other, timing=DialTiming(0.1, 20.0, 0.05, 0.01))
        client = await cluster.connect(balancer)
        await asyncio.sleep(0.3)  # both are being asked now
        async with asyncio.timeout(HANG_SECONDS):
            await _accept_everything(slow)
            await until(lambda: connections(balancer)[slow] == 1)
        client.writer.close()


async def _accept_everything(address: str) -> None:
    """Let a server `without_power` answer from now on."""
    port = int(address.rpartition(":")[2])
    for descriptor in descriptors():
        with contextlib.suppress(OSError):
            duplicate = socket.socket(fileno=os.dup(int(descriptor)))
            with duplicate:
                listens = duplicate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                if listens and duplicate.getsockname()[1] == port:
                    duplicate.listen(16)


async def test_without_any_server_clients_are_held_and_then_closed(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    held = DialTiming(patience=0.2, limit=1.0, pause=0.3, check=0.01)
    balancer = await cluster.balancer(refusing(), refusing(), refusing(), timing=held)
    now = asyncio.get_running_loop().time
    started = now()
    clients = await asyncio.gather(*(cluster.connect(balancer) for _ in range(20)))
    await asyncio.gather(*(client.end() for client in clients))
    assert now() - started >= 0.3
    assert caplog.text.count("all servers failed") == 1


async def test_a_server_that_returns_is_found_by_dialling(cluster: Cluster) -> None:
    a = await cluster.peer("a")
    balancer = await cluster.balancer(a.address, a.address)
    await a.stop()
    assert await server_of(balancer) == ""
    await a.start()
    assert await server_of(balancer) == "a"
    assert state(balancer, a) is State.RECOVERING


async def test_removing_a_server_closes_its_connections(cluster: Cluster) -> None:
    a, b = await cluster.peer("a"), await cluster.peer("b")
    balancer = await cluster.balancer(b.address, a.address, b.address)
    client = await cluster.connect(balancer)
    assert await client.greeting() == "a"
    balancer.set_servers([b.address])
    await client.end()
    assert await server_of(balancer) == "b"
    assert a.address not in connections(balancer)


async def test_an_empty_list_changes_nothing(cluster: Cluster) -> None:
    a = await cluster.peer("a")
    balancer = await cluster.balancer(refusing(), a.address)
    balancer.set_servers([])
    assert await server_of(balancer) == "a"


async def test_an_address_that_is_none_fails_like_a_server(cluster: Cluster) -> None:
    a = await cluster.peer("a")
    balancer = await cluster.balancer(a.address, "nonsense")
    assert await server_of(balancer) == "a"
    assert {s.address: s.state for s in balancer.snapshot()}["nonsense"] is State.FAILED


async def test_the_list_is_remembered_for_the_same_server_url(cluster: Cluster) -> None:
    a = await cluster.peer("a")
    gone = refusing()
    first = await cluster.balancer(gone, a.address)
    await first.close()
    assert json.loads(cluster.state_file.read_text()) == {"ServerURL": URL, "ServerAddresses": [a.address]}
    assert await server_of(await cluster.balancer(gone)) == "a"
    assert await server_of(await cluster.balancer(gone, url="https://other:9345")) == ""


async def test_large_transfers_both_ways_with_half_close(cluster: Cluster) -> None:
    a = await cluster.peer("a")
    balancer = await cluster.balancer(a.address)
    client = await cluster.connect(balancer)
    await client.greeting()
    sent = os.urandom(1 << 20) * 12

    async def send() -> None:
        client.writer.write(sent)
        await client.writer.drain()
        client.writer.write_eof()

    async with asyncio.timeout(HANG_SECONDS):
        _, received = await asyncio.gather(send(), client.reader.read())
    assert received == sent


async def test_a_reader_that_stops_does_not_fill_memory(cluster: Cluster) -> None:
    a = await cluster.peer("a")
    balancer = await cluster.balancer(a.address)
    client = await cluster.connect(balancer)
    writer = client.writer
    writer.transport.set_write_buffer_limits(high=0)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 1 << 30:
            writer.write(bytes(1 << 18))
            async with asyncio.timeout(1):
                await writer.drain()
            sent += 1 << 18
    assert sent < 1 << 26
    writer.transport.abort()


async def test_many_connections(cluster: Cluster) -> None:
    a = await cluster.peer("a")
    balancer = await cluster.balancer(a.address, a.address, timing=UNHURRIED)
    clients = await asyncio.gather(*(cluster.connect(balancer) for _ in range(300)))
    assert {await client.greeting() for client in clients} == {"a"}
    answers = await asyncio.gather(*(client.ask(f"{n}".encode()) for n, client in enumerate(clients)))
    assert answers == [f"{n}".encode() for n in range(300)]
    assert connections(balancer)[a.address] == 300
    for client in clients:
        client.writer.close()
    await until(lambda: connections(balancer)[a.address] == 0)


async def test_close_leaves_neither_tasks_nor_sockets(cluster: Cluster) -> None:
    a = await cluster.peer("a")
    before = asyncio.all_tasks()
    before_all = descriptors()
    with without_power() as dead:
        inside = descriptors()
        balancer = await cluster.balancer(dead, a.address, timing=DialTiming(5.0, 30.0, 30.0, 0.01))
        served = [await cluster.connect(balancer) for _ in range(5)]
        for client in served:
            await client.greeting()
        await a.stop()
        dialling = await cluster.connect(balancer)
        await until(lambda: len(asyncio.all_tasks() - before) >= 3)  # health checks, the client, a dial
        await cluster.end(balancer)
        for client in (*served, dialling):
            await client.end()
            with contextlib.suppress(OSError):
                await client.writer.wait_closed()
        await until(lambda: descriptors() <= inside)
    with pytest.raises(ConnectionRefusedError):
        await cluster.connect(balancer)
    await until(lambda: asyncio.all_tasks() <= before)
    assert descriptors() <= before_all


async def test_a_client_that_is_gone_does_not_keep_its_server_connection(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rke2.loadbalancer.link.HALF_CLOSED", 0.1)
    held: list[asyncio.StreamWriter] = []
    mute = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    address = f"127.0.0.1:{mute.sockets[0].getsockname()[1]}"
    balancer = await cluster.balancer(address)
    client = await cluster.connect(balancer)
    await until(lambda: connections(balancer)[address] == 1)
    client.writer.close()
    await until(lambda: connections(balancer)[address] == 0)
    mute.close()
    for writer in held:
        writer.close()
        await writer.wait_closed()


async def test_connections_to_servers_end_when_nothing_is_acknowledged(cluster: Cluster) -> None:
    a = await cluster.peer("a")
    balancer = await cluster.balancer(a.address)
    client = await cluster.connect(balancer)
    await client.greeting()
    (upstream,) = [side for client in balancer._clients if (side := client.peer)]
    connection = upstream.transport.get_extra_info("socket")
    assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 15_000
    client.writer.close()


async def test_ipv6(cluster: Cluster) -> None:
    a = await cluster.peer("a", "::1")
    balancer = await cluster.balancer(a.address, host="::1")
    client = await cluster.connect(balancer, "::1")
    assert await client.greeting() == "a"
    client.writer.close()


async def test_a_taken_port_is_named_with_its_holder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        balancer = LoadBalancer(
            "rke2-agent-load-balancer",
            port,
            URL,
            tmp_path / "state.json",
            default="127.0.0.1:1",
            health=lambda _: ServerHealth.UNKNOWN,
        )
        with pytest.raises(HostError, match=rf"port {port}, .*pid {os.getpid()}") as raised:
            await balancer.start()
        assert "lb-server-port" in raised.value.remedy
        await balancer.close()


async def test_a_balancer_answers_its_own_process_and_bothers_no_server(cluster: Cluster) -> None:
    a = await cluster.peer("a")
    balancer = await cluster.balancer(a.address)
    for _ in range(3):
        assert await balancer.answers() == ""
    assert a.accepted == 0
    await cluster.end(balancer)
    assert await balancer.answers() != ""


async def test_a_balancer_that_listens_again_keeps_its_port_and_connections(cluster: Cluster) -> None:
    a = await cluster.peer("a")
    balancer = await cluster.balancer(a.address)
    before, port = await cluster.connect(balancer), balancer.port
    assert await before.greeting() == "a"
    await balancer.reopen("no answer")
    after = await cluster.connect(balancer)
    assert (await after.greeting(), balancer.port, await balancer.answers()) == ("a", port, "")
    assert not before.reader.at_eof()


async def test_dials_are_counted_by_what_became_of_them(cluster: Cluster) -> None:
    peer = await cluster.peer("one")
    balancer = await cluster.balancer("127.0.0.1:1", "127.0.0.1:1", peer.address)
    assert await server_of(balancer) == "one"
    counts = {
        dict(sample.labels)["status"]: sample.value
        for sample in balancer.dials.family().samples
        if sample.suffix == "_count"
    }
    assert counts["success"] == 1
    assert counts.get("failure", 0) >= 1
