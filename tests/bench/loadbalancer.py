"""What the client load balancer costs: every figure through it and directly, on the loopback device.

Load balancer, server and client are three processes. Options: ``--gigabytes N`` (2) per direction, ``--requests N``
(3000), ``--connections N`` (500 set up one after the other). Run it on a machine that has nothing else to do.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rke2.loadbalancer.balancer import ServerHealth
from rke2.loadbalancer.server import LoadBalancer

HEADER = struct.Struct("!cQ")
"""What a client says first: download or upload of so many bytes, or echo."""
DOWN, UP, ECHO = b"d", b"u", b"e"
CHUNK = 1 << 18
REQUEST = b"x" * 500
HELD = 200
"""Connections that are open while memory is measured."""


@dataclass(frozen=True)
class Figure:
    name: str
    unit: str
    direct: float | None
    balanced: float


def main() -> None:
    options = _options()
    match options.role:
        case ["server"]:
            return _server()
        case ["balancer", server_port]:
            return _balancer(server_port)
    server, direct = _start("server")
    balancer, balanced = _start("balancer", str(direct))
    try:
        _print(_figures(options, direct, balanced, balancer.pid))
    finally:
        for process in (balancer, server):
            process.kill()
            process.wait()


def _figures(options: argparse.Namespace, direct: int, balanced: int, pid: int) -> list[Figure]:
    size = int(options.gigabytes * 1e9)
    cpu: list[float] = []

    def transfer(kind: bytes, port: int) -> float:
        before = _cpu_seconds(pid)
        rate = _transfer(kind, port, size)
        if port == balanced:
            cpu.append((_cpu_seconds(pid) - before) / options.gigabytes)
        return rate

    def both(name: str, unit: str, measure: Callable[[int], float]) -> Figure:
        return Figure(name, unit, measure(direct), measure(balanced))

    def latencies(name: str, measure: Callable[[int, int], list[float]], count: int) -> list[Figure]:
        times = [statistics.quantiles(measure(port, count), n=100) for port in (direct, balanced)]
        return [Figure(f"{name} p{p}", "µs", *(cut[p - 1] * 1e6 for cut in times)) for p in (50, 99)]

    idle = _resident(pid)
    figures = [
        both("download", "MB/s", lambda port: transfer(DOWN, port)),
        both("upload", "MB/s", lambda port: transfer(UP, port)),
        *latencies("request and response", _requests, options.requests),
        *latencies("new connection, first answer", _connections, options.connections),
    ]
    held = [_echo(balanced) for _ in range(HELD)]
    return [
        *figures,
        Figure("CPU of a download", "s/GB", None, cpu[0]),
        Figure("CPU of an upload", "s/GB", None, cpu[1]),
        Figure("memory at start", "MB", None, idle),
        Figure(f"memory with {len(held)} connections", "MB", None, _resident(pid)),
    ]


def _print(figures: list[Figure]) -> None:
    print(f"{'':<32}{'':>6}{'direct':>10}{'balanced':>10}{'ratio':>8}")
    for figure in figures:
        direct = "–" if figure.direct is None else f"{figure.direct:.0f}"
        ratio = "–" if figure.direct is None else f"{figure.balanced / figure.direct:.2f}"
        digits = 0 if figure.balanced >= 100 else 2
        print(f"{figure.name:<32}{figure.unit:>6}{direct:>10}{figure.balanced:>10.{digits}f}{ratio:>8}")


def _transfer(kind: bytes, port: int, size: int) -> float:
    """MB/s of one connection."""
    with _connect(port) as connection:
        started = time.perf_counter()
        connection.sendall(HEADER.pack(kind, size))
        if kind == DOWN:
            _receive(connection, size)
        else:
            _send(connection, size)
            connection.recv(1)
        return size / (time.perf_counter() - started) / 1e6


def _requests(port: int, count: int) -> list[float]:
    """Seconds of each of `count` exchanges on one connection."""
    with _echo(port) as connection:
        return [_timed(lambda: _exchange(connection)) for _ in range(count)]


def _connections(port: int, count: int) -> list[float]:
    return [_timed(lambda: _echo(port).close()) for _ in range(count)]


def _timed(what: Callable[[], None]) -> float:
    started = time.perf_counter()
    what()
    return time.perf_counter() - started


def _exchange(connection: socket.socket) -> None:
    connection.sendall(REQUEST)
    _receive(connection, len(REQUEST))


def _echo(port: int) -> socket.socket:
    """A new connection to the echo server over which one byte has come back."""
    connection = _connect(port)
    connection.sendall(HEADER.pack(ECHO, 0) + b"x")
    connection.recv(1)
    return connection


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _receive(connection: socket.socket, size: int) -> None:
    buffer = memoryview(bytearray(CHUNK))
    while size:
        received = connection.recv_into(buffer[: min(size, CHUNK)])
        if not received:
            raise EOFError("the other side has closed")
        size -= received


def _send(connection: socket.socket, size: int) -> None:
    buffer = memoryview(bytes(CHUNK))
    while size:
        size -= connection.send(buffer[: min(size, CHUNK)])


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _start(*role: str) -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-m", "tests.bench.loadbalancer", "--role", *role]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, int(process.stdout.readline())


def _server() -> None:
    """The role of the server: echo, source and sink."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve, args=(connection,), daemon=True).start()


def _serve(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        kind, size = HEADER.unpack(connection.recv(HEADER.size, socket.MSG_WAITALL))
        if kind == DOWN:
            _send(connection, size)
        elif kind == UP:
            _receive(connection, size)
            connection.sendall(b"x")
        while data := connection.recv(CHUNK):
            connection.sendall(data)


def _balancer(server_port: str) -> None:
    """The role of the load balancer."""
    asyncio.run(_balance(f"127.0.0.1:{server_port}"))


async def _balance(server: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        balancer = LoadBalancer(
            "bench",
            0,
            "https://bench",
            Path(directory) / "bench.json",
            default=server,
            health=lambda _: ServerHealth.OK,
        )
        await balancer.start()
        balancer.set_servers([server])
        print(balancer.port, flush=True)
        await balancer.watch_health()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--role", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
