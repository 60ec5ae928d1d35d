"""Port 9345 never dies in silence: what breaks it from outside is noticed, told and mended; no container restarts."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rke2.lifecycle.liveness import INTERVAL
from tests.cluster.eventually import eventually
from tests.cluster.restart.containers import running_containers
from tests.cluster.restart.server import Server
from tests.cluster.restart.test_running_killed import READY_SECONDS

PORT = 9345
_PIDFD_GETFD = 438
_LISTEN = "0A"
SILENT_SECONDS = 3 * INTERVAL
"""Until a node knows that it does not answer: a question takes as long at most as the pause before it."""


def pid_on_the_machine(server: Server) -> int:
    """The process as the machine numbers it; in its host it has another number."""
    process = server.process
    assert process
    family = [process.pid]
    for pid in family:
        for task in Path(f"/proc/{pid}/task").iterdir():
            family += map(int, (task / "children").read_text().split())
    (found,) = [pid for pid in family if _listeners(pid)]
    return found


def _listeners(pid: int) -> list[int]:
    """Descriptors of the process that listen on the port."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == PORT:
                inodes.add(f"socket:[{fields[9]}]")
    return [int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir() if _target(each) in inodes]


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:
        return ""


def break_listeners(pid: int) -> None:
    """Shut down the process's listening sockets behind its back: accept(2) refuses from now on."""
    libc, pidfd = ctypes.CDLL(None, use_errno=True), os.pidfd_open(pid)
    try:
        for descriptor in _listeners(pid):
            copy = libc.syscall(_PIDFD_GETFD, pidfd, descriptor, 0)
            assert copy >= 0, os.strerror(ctypes.get_errno())
            with socket.socket(fileno=copy) as listener:
                listener.shutdown(socket.SHUT_RDWR)
    finally:
        os.close(pidfd)


@contextmanager
def nobody_gets_through(server: Server) -> Iterator[None]:
    """What comes to the port over loopback is lost."""
    rule = ["INPUT", "-i", "lo", "-p", "tcp", "--dport", str(PORT), "-j", "DROP"]
    server.node.host.exec(["iptables", "-I", *rule], check=True)
    try:
        yield
    finally:
        server.node.host.exec(["iptables", "-D", *rule], check=True)


def ping(server: Server) -> str:
    """The answer of the supervisor to a TLS client in its host; empty if there is none."""
    script = f"""
import socket, ssl
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
with socket.create_connection(("127.0.0.1", {PORT}), 3) as plain, tls.wrap_socket(plain) as connection:
    connection.sendall(b"GET /ping HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
    print(connection.recv(4096).decode())
"""
    return server.node.host.exec(["python3", "-c", script]).stdout


def until_answered(server: Server, seconds: float = 30.0) -> None:
    eventually(lambda: "pong" in ping(server), "port 9345 answers", seconds)


def until_settled(server: Server) -> None:
    eventually(lambda: server.report()[0] == 0, "the node is ready", READY_SECONDS)


def test_listening_sockets_that_break_are_opened_again(server: Server) -> None:
    until_settled(server)
    containers, pid = running_containers(server.node), server.status().pid
    broken = pid_on_the_machine(server)
    for _ in range(3):
        break_listeners(broken)
        until_answered(server)
    assert server.status().pid == pid
    services = server.status().services
    assert any(status.failures >= 3 for name, status in services.items() if name.endswith(f"port {PORT}"))
    until_settled(server)
    assert running_containers(server.node) == containers


def test_a_node_that_does_not_answer_itself_says_so_until_it_does(server: Server) -> None:
    until_settled(server)
    containers = running_containers(server.node)
    server.terminate()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(server.node.host.path("/tmp/watchdog.sock")))
        manager.settimeout(READY_SECONDS)
        server.start({"NOTIFY_SOCKET": "/tmp/watchdog.sock", "WATCHDOG_USEC": "180000000"})
        pid = server.until_ready().pid
        assert _next(manager, "WATCHDOG=1")
        with nobody_gets_through(server):
            eventually(lambda: server.status().silent, "the node knows that it is silent", SILENT_SECONDS)
            code, report = server.report()
            assert (code, server.status().ready) == (1, False)
            assert str(report["waitingFor"]).startswith("this node to answer itself: port 9345: ")
            assert "WATCHDOG=1" not in _until_opened_again(server, manager)
        assert _next(manager, "WATCHDOG=1")
        assert not server.status().silent
        until_settled(server)
        assert server.status().pid == pid
        assert server.terminate() == 0
    server.start()
    server.until_ready()
    assert running_containers(server.node) == containers


def _until_opened_again(server: Server, manager: socket.socket) -> list[str]:
    """What the service manager hears from now to then."""
    _all(manager)
    eventually(
        lambda: server.logged("port 9345 is opened again"), "it tries to mend that", 3 * SILENT_SECONDS
    )
    return _all(manager)


def _next(manager: socket.socket, wanted: str) -> bool:
    while wanted not in manager.recv(4096).decode().splitlines():
        pass
    return True


def _all(manager: socket.socket) -> list[str]:
    heard: list[str] = []
    manager.setblocking(False)
    while True:
        try:
            heard += manager.recv(4096).decode().splitlines()
        except BlockingIOError:
            manager.settimeout(READY_SECONDS)
            return heard
