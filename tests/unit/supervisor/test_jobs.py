"""A job of the supervisor that fails is started again; port 9345 answers meanwhile or very soon."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rke2.host.own_connections import OwnConnections
from rke2.lifecycle.progress import ServiceStatus
from rke2.supervisor import server as module
from rke2.supervisor.claims import NodeClaim
from rke2.supervisor.connections import Acceptor
from rke2.supervisor.deferred import Deferred
from rke2.supervisor.growth import GrowingCertificate
from rke2.supervisor.listener import listen
from rke2.supervisor.node_passwords import NodePasswords
from rke2.supervisor.server import SupervisorServer
from rke2.supervisor.unauthenticated import UnauthenticatedConnections
from tests.unit.supervisor.client import Client
from tests.unit.supervisor.kube import Kube, core_over
from tests.unit.supervisor.test_server import configured, supervisor


@dataclass
class Running:
    server: SupervisorServer
    client: Client
    kube: Kube
    told: list[tuple[str, ServiceStatus]] = field(default_factory=list)

    def states(self, job: str) -> list[str]:
        return [status.state for name, status in self.told if job in name]

    async def answers(self) -> None:
        """Return when /ping is answered."""
        async with asyncio.timeout(10):
            while True:
                try:
                    if (await asyncio.wait_for(self.client.ask("/ping"), 2)).body == b"pong":
                        return
                except OSError:
                    await asyncio.sleep(0.05)

    async def until(self, job: str, *states: str) -> None:
        async with asyncio.timeout(10):
            while tuple(self.states(job)) != states:
                await asyncio.sleep(0.02)


Start = Callable[[], Any]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    running: list[Running] = []

    async def run() -> Running:
        config = configured(tmp_path)
        told: list[tuple[str, ServiceStatus]] = []
        server = supervisor(config, report=lambda name, status: told.append((name, status)))
        await server.start()
        kube = Kube()
        running.append(Running(server, Client(server.port, config.paths.tls / "server-ca.crt"), kube, told))
        server.core.publish(core_over(kube, config))
        return running[-1]

    yield run
    for each in running:
        await each.server.stop()


def failing_once(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    real, left = getattr(owner, name), [ZeroDivisionError("a fault of ours")]

    async def run(*arguments: Any) -> None:
        await asyncio.sleep(0.05)
        if left:
            raise left.pop()
        await real(*arguments)

    monkeypatch.setattr(owner, name, run)


@pytest.mark.parametrize(
    ("owner", "name", "job"),
    [
        (Acceptor, "keep_open", "127.0.0.1 port"),
        (GrowingCertificate, "run", "supervisor: serving certificate"),
        (module, "keep_in_step", "shared serving certificate"),
        (NodePasswords, "keep_own", "own node password"),
        (NodePasswords, "verify_deferred", "deferred node passwords"),
    ],
)
async def test_each_job_that_fails_is_started_again(
    start: Start, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, job: str
) -> None:
    failing_once(monkeypatch, owner, name)
    running = await start()
    await running.until(job, "running", "failing", "running")
    await running.answers()
    others = {told for told, _ in running.told if job not in told}
    assert len(others) == 4
    assert all(running.states(other) == ["running"] for other in others)


async def test_a_listening_socket_that_broke_is_opened_again(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[socket.socket] = []

    def noted(*arguments: Any) -> list[socket.socket]:
        opened.extend(listen(*arguments))
        return list(opened)

    monkeypatch.setattr(module, "listen", noted)
    running = await start()
    await running.answers()
    # What shutdown(2) does to a listening socket: accept(2) refuses from now on (EINVAL).
    opened[0].shutdown(socket.SHUT_RDWR)
    await running.until("127.0.0.1 port", "running", "failing", "running")
    await running.answers()


async def test_a_node_whose_password_cannot_be_verified_does_not_keep_the_others(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    async def verify(self: Deferred, core: Any, entry: Any) -> None:
        seen.append(entry.claim.node)
        assert entry.claim.node == "good"

    monkeypatch.setattr(Deferred, "_verify", verify)
    monkeypatch.setattr(Deferred, "__init__", _with_entries(Deferred.__init__, "bad", "good"))
    running = await start()
    async with asyncio.timeout(10):
        while "good" not in seen:
            await asyncio.sleep(0.02)
    assert seen == ["bad", "good"]
    assert running.states("deferred node passwords") == ["running"]


def _with_entries(init: Callable[..., None], *nodes: str) -> Callable[..., None]:
    def made(self: Deferred, *arguments: Any, **options: Any) -> None:
        init(self, *arguments, **options)
        for node in nodes:
            self.add(NodeClaim(node, "password"))

    return made


async def test_a_listener_that_starts_again_gives_back_the_places_of_half_open_connections() -> None:
    unauthenticated = UnauthenticatedConnections()

    def never(argument: Any) -> Any:
        raise AssertionError("not reached")

    class Silent(Acceptor):
        async def _handshake(self, client: socket.socket, place: Any) -> None:
            await asyncio.Event().wait()

    listener = socket.create_server(("127.0.0.1", 0))
    door = Silent(never, never, unauthenticated, OwnConnections())
    accepting = asyncio.create_task(door.keep_open(listener))
    _, writer = await asyncio.open_connection(*listener.getsockname())
    async with asyncio.timeout(10):
        while not len(unauthenticated):
            await asyncio.sleep(0.01)
    accepting.cancel()
    await asyncio.wait([accepting])
    assert len(unauthenticated) == 0
    writer.close()
    listener.close()
