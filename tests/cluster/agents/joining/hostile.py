"""Attacks on port 9345, run on a host of the lab: ``hostile.py NAME SERVER PASSWORD``. Prints what it was answered.

Standard library only, and no client of ours: what goes over the wire is written here.
"""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import ssl
import sys
import time

PORT = 9345
AGENT = "/var/lib/rancher/rke2/agent"


def connect(server: str, *, certificate: bool = False) -> ssl.SSLSocket:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    if certificate:
        tls.load_cert_chain(f"{AGENT}/client-kubelet.crt", f"{AGENT}/client-kubelet.key")
    return tls.wrap_socket(socket.create_connection((server, PORT), timeout=20))


def request(server: str, head: list[str], body: bytes = b"", *, certificate: bool = False) -> bytes:
    """The first bytes of the answer."""
    with connect(server, certificate=certificate) as connection:
        lines = [*head, f"Host: {server}", "", ""]
        # The server may close before it has read everything; it has answered then.
        with contextlib.suppress(OSError):
            connection.sendall("\r\n".join(lines).encode() + body)
        return connection.recv(4096)


def status(answer: bytes) -> str:
    return answer.split(b" ")[1].decode() if answer.startswith(b"HTTP/") else f"closed {answer!r}"


def basic(password: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"node:{password}".encode()).decode()


def oversized(server: str, password: str) -> str:
    size = 64 << 20
    head = ["POST /v1-rke2/client-kubelet.crt HTTP/1.1", basic(password), f"Content-Length: {size}"]
    return status(request(server, [*head, "rke2-Node-Name: n", "rke2-Node-Password: p"], b"x" * (1 << 20)))


def endless(server: str, password: str) -> str:
    """A body of chunks without an end."""
    head = ["POST /v1-rke2/client-kube-proxy.crt HTTP/1.1", basic(password), "Transfer-Encoding: chunked"]
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    return status(request(server, head, chunk * 64))


def wrong(server: str, password: str) -> str:
    return status(request(server, ["GET /v1-rke2/config HTTP/1.1", basic(f"not-{password}")]))


def anonymous(server: str, password: str) -> str:
    return status(request(server, ["GET /v1-rke2/config HTTP/1.1"]))


def not_a_server(server: str, password: str) -> str:
    """What only servers get."""
    return status(request(server, ["GET /v1-rke2/server-bootstrap HTTP/1.1", basic(password)]))


def garbage(server: str, password: str) -> str:
    """A tunnel of random frames, again and again: each is closed."""
    ended = 0
    key = base64.b64encode(os.urandom(16)).decode()
    head = [
        "GET /v1-rke2/connect HTTP/1.1",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        f"Host: {server}",
    ]
    for _ in range(10):
        with connect(server, certificate=True) as tunnel:
            tunnel.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
            assert b" 101 " in tunnel.recv(4096).split(b"\r\n")[0] + b" "
            payload = b"\xff" * 125
            tunnel.sendall(b"\x82" + bytes([0x80 | len(payload)]) + bytes(4) + payload)
            ended += _ends(tunnel)
    return str(ended)


def _ends(connection: ssl.SSLSocket) -> bool:
    try:
        while connection.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def slow(server: str, password: str) -> str:
    """Two hundred connections that send a byte now and then; prints how many the server has ended after a minute."""
    connections = [connect(server) for _ in range(200)]
    for connection in connections:
        connection.settimeout(0.0)
    deadline, text = time.monotonic() + 60, b"GET /v1-rke2/config HTTP/1.1\r\nX-Slow: " + b"x" * 4096
    alive = list(connections)
    for byte in text:
        alive = [one for one in alive if _feeds(one, bytes([byte]))]
        if not alive or time.monotonic() > deadline:
            break
        time.sleep(1)
    return f"{len(connections) - len(alive)} of {len(connections)}"


def _feeds(connection: ssl.SSLSocket, byte: bytes) -> bool:
    try:
        connection.send(byte)
        return bool(connection.recv(1))
    except ssl.SSLWantReadError:
        return True
    except OSError:
        return False


def deaf(server: str, password: str) -> str:
    """Fifty connections that ask all the time for what anybody may have, and read nothing; how many are ended."""
    connections = [connect(server) for _ in range(50)]
    for connection in connections:
        connection.settimeout(0.0)
    deadline, alive = time.monotonic() + 100, list(connections)
    while alive and time.monotonic() < deadline:
        alive = [one for one in alive if _asks(one)]
        time.sleep(0.2)
    return f"{len(connections) - len(alive)} of {len(connections)}"


def _asks(connection: ssl.SSLSocket) -> bool:
    try:
        connection.send(b"GET /cacerts HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
    except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    return True


ATTACKS = {
    attack.__name__: attack
    for attack in (oversized, endless, wrong, anonymous, not_a_server, garbage, slow, deaf)
}

if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    print(ATTACKS[name](*arguments))
