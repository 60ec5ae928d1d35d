"""CONNECT and the agents' websocket over raw TLS (supervisor reference §9.2 and §9.4)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contract.supervisor.harness import Supervisor, supervisor

MEGABYTE = 1 << 20


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Supervisor]:
    with supervisor(tmp_path) as found:
        yield found


@contextmanager
def target(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server for one connection; the port it listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)

        def accept() -> None:
            client, _ = listener.accept()
            client.settimeout(20)
            with client:
                serve(client)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(20)
        assert not thread.is_alive()


def tunnel(running: Supervisor, port: int, early: bytes = b"") -> ssl.SSLSocket:
    connection = running.connect(running.tls / "client-kube-apiserver")
    host = f"127.0.0.1:{port}"
    connection.sendall(f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode() + early)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, head
        head += byte
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"chunked" not in head.lower()
    assert b"content-length" not in head.lower()
    return connection


def read_all(connection: socket.socket) -> bytes:
    data = bytearray()
    while chunk := connection.recv(65536):
        data += chunk
    return bytes(data)


def test_bytes_in_both_directions(running: Supervisor) -> None:
    def echo(client: socket.socket) -> None:
        while data := client.recv(65536):
            client.sendall(data)

    with target(echo) as port, tunnel(running, port, b"early ") as connection:
        connection.sendall(b"late")
        received = b""
        while len(received) < 10:
            received += connection.recv(100)
        assert received == b"early late"


def test_large_streams_arrive_whole_with_slow_readers(running: Supervisor) -> None:
    sent = os.urandom(24 * MEGABYTE)
    digests = []

    def take_then_give(client: socket.socket) -> None:
        got = bytearray()
        while len(got) < len(sent):
            got += client.recv(65536)
        digests.append(hashlib.sha256(got).digest())
        client.sendall(sent)

    with target(take_then_give) as port, tunnel(running, port) as connection:
        connection.sendall(sent)
        assert hashlib.sha256(read_all(connection)).digest() == hashlib.sha256(sent).digest()
    assert digests == [hashlib.sha256(sent).digest()]


def test_a_target_that_does_not_read_stops_the_client(running: Supervisor) -> None:
    go_on = threading.Event()

    def idle(client: socket.socket) -> None:
        go_on.wait(20)

    with target(idle) as port, tunnel(running, port) as connection:
        connection.settimeout(1)
        pushed = 0
        with pytest.raises(TimeoutError):
            while pushed < 64 * MEGABYTE:
                pushed += connection.send(bytes(65536))
        assert pushed < 32 * MEGABYTE
        go_on.set()


def test_the_end_of_one_side_is_the_end_of_the_other(running: Supervisor) -> None:
    ended = threading.Event()

    def last_words(client: socket.socket) -> None:
        client.sendall(b"bye")

    def until_end(client: socket.socket) -> None:
        assert read_all(client) == b"ciao"
        ended.set()

    with target(last_words) as port, tunnel(running, port) as connection:
        assert read_all(connection) == b"bye"
    with target(until_end) as port:
        connection = tunnel(running, port)
        connection.sendall(b"ciao")
        connection.close()
        assert ended.wait(10)


def test_tls_inside_of_the_tunnel(running: Supervisor) -> None:
    """What the apiserver does: TLS to the kubelet, inside of TLS to the supervisor."""
    inner = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    stem = running.config.paths.agent / "serving-kubelet"
    inner.load_cert_chain(f"{stem}.crt", f"{stem}.key")

    def kubelet(client: socket.socket) -> None:
        with inner.wrap_socket(client, server_side=True) as secure:
            secure.sendall(secure.recv(100).upper())

    with target(kubelet) as port, tunnel(running, port) as connection:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        secure = running.context().wrap_bio(incoming, outgoing, server_hostname="localhost")

        def exchange(act: Callable[[], bytes | None]) -> bytes | None:
            while True:
                try:
                    result = act()
                except ssl.SSLWantReadError:
                    connection.sendall(outgoing.read())
                    incoming.write(connection.recv(65536))
                else:
                    connection.sendall(outgoing.read())
                    return result

        exchange(secure.do_handshake)
        secure.write(b"inside")
        assert exchange(lambda: secure.read(100)) == b"INSIDE"


def test_a_target_nobody_answers_at(running: Supervisor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    answer = running.ask("CONNECT", f"127.0.0.1:{port}", stem=running.tls / "client-kube-apiserver")
    assert (answer.status, answer.json["kind"]) == (502, "Status")
    assert f"127.0.0.1:{port}" in answer.json["message"]


@pytest.mark.parametrize("authority", ["127.0.0.1:0", "127.0.0.1:99999"])
def test_a_target_that_is_none(running: Supervisor, authority: str) -> None:
    stem = running.tls / "client-kube-apiserver"
    assert running.ask("CONNECT", authority, stem=stem).status == 400


def upgrade(running: Supervisor) -> ssl.SSLSocket:
    connection = running.connect(running.config.paths.agent / "client-kubelet")
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        "GET /v1-rke2/connect HTTP/1.1",
        "Host: supervisor",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
    ]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, head
        head += byte
    assert head.startswith(b"HTTP/1.1 101 ")
    accept = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
    assert base64.b64encode(accept) in head
    return connection


def test_the_agents_websocket_becomes_a_session(running: Supervisor) -> None:
    with upgrade(running) as connection:
        running.run(until(lambda: running.tunnel.nodes() == {"node1": 1}))
        connection.sendall(b"\x89\x80\x00\x00\x00\x00")  # a ping
        assert connection.recv(2) == b"\x8a\x00"
    running.run(until(lambda: running.tunnel.nodes() == {}))


def test_stopping_ends_tunnels_at_once(tmp_path: Path) -> None:
    with supervisor(tmp_path) as running:
        connection = upgrade(running)
        running.run(until(lambda: running.tunnel.nodes() == {"node1": 1}))

        async def stop() -> None:
            async with asyncio.timeout(10):
                await running.server.stop()

        running.run(stop())
        assert running.tunnel.nodes() == {}
        connection.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)
