"""Clients that are slow, many, or talk nonsense do not keep others from being served."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rke2.supervisor import connections, server
from rke2.supervisor.api import certificates, nodes
from rke2.supervisor.routes import Route, RouteTable
from rke2.supervisor.unauthenticated import UnauthenticatedConnections
from tests.authorities import new_key
from tests.contract.supervisor.harness import (
    NODE,
    SERVER,
    Supervisor,
    basic,
    csr,
    register,
    supervisor,
    until_known,
)
from tests.unit.supervisor.client import Answer

MEGABYTE = 1 << 20
CROWD = 60
"""Connections at a time of one hostile client."""

_CROWD = """
import socket, ssl, sys, time
port, count, text = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode()
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
connections = [tls.wrap_socket(socket.create_connection(("127.0.0.1", port), 20)) for _ in range(count)]
for connection in connections:
    connection.setblocking(False)
quiet = time.monotonic()
while text and time.monotonic() - quiet < 1:
    for connection in connections:
        try:
            connection.send(text)
            quiet = time.monotonic()
        except ssl.SSLWantWriteError:
            pass
print("there", flush=True)
sys.stdin.read()
"""
"""Connects so many times and sends the text on each, again and again, until nothing is taken any more; never reads."""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Supervisor]:
    with supervisor(tmp_path) as found:
        yield found


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch, running: Supervisor) -> Supervisor:
    """Request heads have to be there in a fraction of a second."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    return running


@pytest.mark.parametrize("sent", [b"", b"GET /ping HTTP/1.1\r\nHost: x\r\nX-Slow"])
def test_a_head_that_does_not_come_ends_the_connection(hurried: Supervisor, sent: bytes) -> None:
    with hurried.connect() as connection:
        connection.sendall(sent)
        assert ended(connection)


def test_the_heads_of_later_requests_have_to_come_too(hurried: Supervisor) -> None:
    with hurried.connect() as connection:
        connection.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(1000).endswith(b"pong")
        connection.sendall(b"GET /pi")
        assert ended(connection)


@pytest.mark.parametrize("request_", [b"GET /ping", b"GET /v1-rke2/config", b"POST /v1-rke2/token"])
def test_whoever_proves_nothing_has_to_go(
    running: Supervisor, monkeypatch: pytest.MonkeyPatch, request_: bytes
) -> None:
    """However diligently it asks."""
    monkeypatch.setattr(connections, "PROOF_SECONDS", 0.5)
    with running.connect() as connection:
        for _ in range(200):
            try:
                connection.sendall(request_ + b" HTTP/1.1\r\nHost: x\r\n\r\n")
                if not connection.recv(1000):
                    return
            except (ssl.SSLError, ConnectionError):
                return
            threading.Event().wait(0.05)
    pytest.fail("it is still served")


def test_whoever_has_authenticated_may_stay(running: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PROOF_SECONDS", 0.5)
    request = f"GET /v1-rke2/apiservers HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(NODE)}\r\n\r\n".encode()
    with running.connect() as connection:
        for _ in range(2):
            connection.sendall(request)
            assert connection.recv(4000).startswith(b"HTTP/1.1 200 ")
            threading.Event().wait(0.7)


@pytest.mark.parametrize(
    ("text", "kibibytes"),
    [
        pytest.param("", 120, id="silent"),
        pytest.param("GET /cacerts HTTP/1.1\r\nHost: x\r\n\r\n" * 100, 400, id="does-not-read"),
        pytest.param("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" * 100, 400, id="refused-and-does-not-read"),
    ],
)
def test_what_a_connection_may_hold_in_memory(running: Supervisor, text: str, kibibytes: float) -> None:
    before = resident()
    command = [sys.executable, "-c", _CROWD, str(running.port), str(CROWD), text]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as crowd:
        assert crowd.stdout
        assert crowd.stdout.readline() == b"there\n"
        assert len(running.server._unauthenticated) == CROWD
        assert (resident() - before) / CROWD < kibibytes
        assert running.ask("GET", "/ping").status == 200
        crowd.kill()
    running.run(until_nobody(running))


def resident() -> int:
    """KiB of memory in use."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024


def ended(connection: ssl.SSLSocket) -> bool:
    try:
        return connection.recv(1000) == b""
    except (ssl.SSLError, ConnectionError):
        return True


def test_a_body_that_does_not_come_ends_its_request(
    running: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = RouteTable.find

    def hasty(table: RouteTable, method: str, path: str) -> Route | None:
        route = find(table, method, path)
        return replace(route, seconds=0.3) if route else None

    monkeypatch.setattr(RouteTable, "find", hasty)
    with running.connect() as connection:
        connection.sendall(f"{ORDER}\r\nContent-Length: 100\r\n\r\nabc".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 503 ")


ORDER = f"POST /v1-rke2/client-kube-proxy.crt HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(NODE)}"


def test_bodies_that_do_not_come_keep_no_places(running: Supervisor) -> None:
    """Twice as many as there are places."""
    waiting = [running.connect() for _ in range(20)]
    for connection in waiting:
        connection.sendall(f"{ORDER}\r\nContent-Length: 10\r\n\r\nabc".encode())
    running.run(until_nobody(running))  # all of them have authenticated: what is missing is their bodies
    assert order(running).status == 200
    for connection in waiting:
        connection.close()


def order(running: Supervisor) -> Answer:
    return running.ask("POST", "/v1-rke2/client-kube-proxy.crt", NODE, body=csr(new_key()))


def test_more_requests_in_flight_than_allowed(running: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, sign = threading.Event(), certificates.sign

    def wait(*args: Any) -> Any:
        go_on.wait(20)
        return sign(*args)

    monkeypatch.setattr(certificates, "sign", wait)
    body = csr(new_key())
    waiting = [running.connect() for _ in range(10)]
    try:
        for connection in waiting:
            connection.sendall(f"{ORDER}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        running.run(until_full(running))
        over = order(running)
        assert (over.status, over.headers["retry-after"], over.json["kind"]) == (429, "1", "Status")
        assert running.ask("GET", "/v1-rke2/readyz", NODE).status == 503
        assert running.ask("GET", "/v1-rke2/server-bootstrap", SERVER).status == 400
    finally:
        go_on.set()
    for connection in waiting:
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        connection.close()


def test_more_reads_in_flight_than_allowed(running: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty, and others go on meanwhile."""
    go_on = threading.Event()

    async def wait(*_: object) -> list[str]:
        await asyncio.to_thread(go_on.wait, 20)
        return []

    monkeypatch.setattr(nodes, "stored_api_addresses", wait)
    request = f"GET /v1-rke2/apiservers HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(NODE)}\r\n\r\n".encode()
    waiting = [running.connect() for _ in range(20)]
    try:
        for connection in waiting:
            connection.sendall(request)
        running.run(until_full(running, reads=True))
        over = running.ask("GET", "/v1-rke2/config", NODE)
        assert (over.status, over.headers["retry-after"]) == (429, "1")
        assert order(running).status == 200
    finally:
        go_on.set()
    for connection in waiting:
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        connection.close()


async def until_full(running: Supervisor, *, reads: bool = False) -> None:
    async with asyncio.timeout(20):
        assert running.server._dispatcher
        while running.server._dispatcher._in_flight._free[reads]:
            await asyncio.sleep(0.01)


def test_unauthenticated_connections_alone_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "UnauthenticatedConnections", lambda **_: UnauthenticatedConnections(most=3))
    with supervisor(tmp_path) as running:
        request = f"GET /v1-rke2/config HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(NODE)}\r\n\r\n".encode()
        proven = [running.connect() for _ in range(2)]
        for connection in proven:
            connection.sendall(request)
            assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        unproven = [running.connect() for _ in range(3)]
        with pytest.raises((ssl.SSLError, ConnectionError)):
            running.connect()
        unproven[0].close()
        running.run(until_room(running))
        assert running.ask("GET", "/ping").status == 200
        for connection in [*proven, *unproven]:
            connection.close()


async def until_room(running: Supervisor) -> None:
    async with asyncio.timeout(20):
        while len(running.server._unauthenticated) > 2:
            await asyncio.sleep(0.01)


def test_nodes_get_in_when_all_other_places_are_taken(
    running: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here loopback stands for strangers until its address is a Node's."""
    monkeypatch.setattr(running.server._unauthenticated._others, "_most", 2)
    monkeypatch.setattr(server, "_is_loopback", lambda address: False)
    strangers = [running.connect() for _ in range(2)]
    with pytest.raises((ssl.SSLError, ConnectionError)):
        running.connect()
    running.become_ready()
    register(running, "node2", address="127.0.0.1")
    running.run(until_known(running, "node2"))
    assert running.ask("GET", "/v1-rke2/config", NODE).status == 200
    for connection in strangers:
        connection.close()


def test_this_machine_gets_in_when_all_other_places_are_taken(
    running: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running.server._unauthenticated._others, "_most", 0)
    assert running.ask("GET", "/v1-rke2/config", NODE).status == 200


@pytest.mark.parametrize(
    "garbage",
    [
        b"NONSENSE\r\n\r\n",
        b"GET /ping HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01" + bytes(200),
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
        b"GET /ping HTTP/1.1\r\nFiller: " + b"x" * 100_000 + b"\r\n\r\n",
        b"POST /ping HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /ping HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nzz\r\n",
    ],
)
def test_garbage_is_answered_with_an_error_or_the_end(running: Supervisor, garbage: bytes) -> None:
    with running.connect() as connection:
        connection.sendall(garbage)
        answer = b""
        try:
            while chunk := connection.recv(1000):
                answer += chunk
        except (ssl.SSLError, ConnectionError):
            pass
        assert answer[:12] in (b"", b"HTTP/1.0 400", b"HTTP/1.1 400")
    assert running.ask("GET", "/ping").status == 200


def test_garbage_instead_of_tls_leaves_no_memory_behind(running: Supervisor) -> None:
    def spill(count: int) -> None:
        for _ in range(count):
            with socket.create_connection(("127.0.0.1", running.port), timeout=20) as raw:
                raw.sendall(os.urandom(4096))
                raw.settimeout(20)
                try:
                    while raw.recv(4096):
                        pass
                except ConnectionError:
                    pass

    spill(50)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    workers = [threading.Thread(target=spill, args=(100,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024
    assert running.ask("GET", "/ping").status == 200
    running.run(until_nobody(running))


async def until_nobody(running: Supervisor) -> None:
    async with asyncio.timeout(20):
        while len(running.server._unauthenticated):
            await asyncio.sleep(0.01)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_tls_is_refused(running: Supervisor) -> None:
    context = running.context()
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    raw = socket.create_connection(("127.0.0.1", running.port), timeout=20)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(raw, server_hostname="127.0.0.1")


@pytest.mark.parametrize(
    "suite",
    ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"],
)
def test_suites_of_tls_1_2(running: Supervisor, suite: str) -> None:
    context = running.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suite)
    raw = socket.create_connection(("127.0.0.1", running.port), timeout=20)
    with context.wrap_socket(raw, server_hostname="127.0.0.1") as connection:
        chosen = connection.cipher()
        assert chosen
        assert chosen[0] == suite


@pytest.mark.parametrize(
    "suite", ["ECDHE-ECDSA-AES128-SHA256", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-CCM"]
)
def test_other_suites_are_refused(running: Supervisor, suite: str) -> None:
    context = running.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suite)
    raw = socket.create_connection(("127.0.0.1", running.port), timeout=20)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(raw, server_hostname="127.0.0.1")


def test_one_client_that_breaks_something_does_not_close_the_door(
    running: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> ssl.SSLContext:
        raise RuntimeError("unforeseen")

    with monkeypatch.context() as broken:
        broken.setattr(running.server._certificate, "gain", fail)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            running.connect()
    assert running.ask("GET", "/ping").status == 200
