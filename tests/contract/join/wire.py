"""A supervisor made of sockets: it records every request byte by byte and answers what it is told to."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import create_server, socket

from cryptography import x509


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    names: tuple[str, ...]
    """Names of the headers as they came."""
    body: bytes
    certificate: str
    """Common name of the client certificate, empty if none was presented."""


Handler = Callable[[Request], bytes]


def answer(body: bytes = b"", status: int = 200, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass
class Wire:
    """The server. `handlers` maps a path to what answers it; unknown paths get 404."""

    url: str
    handlers: dict[str, Handler]
    requests: list[Request] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def asked(self) -> list[str]:
        """Method and path of every request so far."""
        return [f"{request.method} {request.path}" for request in self.requests]

    def last(self, path: str) -> Request:
        return [request for request in self.requests if request.path == path][-1]


@contextmanager
def serving(certificate: Path, client_ca: Path, handlers: dict[str, Handler]) -> Iterator[Wire]:
    """Serve on a port of loopback until the end of the block; `certificate` holds the key, too."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    tls.load_verify_locations(client_ca)
    tls.verify_mode = ssl.CERT_OPTIONAL
    listener = create_server(("127.0.0.1", 0))
    wire = Wire(f"https://127.0.0.1:{listener.getsockname()[1]}", handlers)
    thread = threading.Thread(target=_accept, args=(wire, listener, tls), daemon=True)
    thread.start()
    try:
        yield wire
    finally:
        wire.stopped.set()
        listener.close()


def _accept(wire: Wire, listener: socket, tls: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(wire, connection, tls), daemon=True).start()


def _serve(wire: Wire, plain: socket, tls: ssl.SSLContext) -> None:
    try:
        with tls.wrap_socket(plain, server_side=True) as connection:
            request = _receive(connection)
            wire.requests.append(request)
            handler = wire.handlers.get(request.path)
            connection.sendall(handler(request) if handler else answer(status=404))
            connection.unwrap()
    except OSError:
        plain.close()


def _receive(connection: ssl.SSLSocket) -> Request:
    stream = connection.makefile("rb")
    method, path, _ = stream.readline().decode().split(" ")
    pairs = []
    while line := stream.readline().rstrip():
        name, _, value = line.decode().partition(": ")
        pairs.append((name, value))
    headers = {name.lower(): value for name, value in pairs}
    body = stream.read(int(headers.get("content-length", 0)))
    names = tuple(name for name, _ in pairs)
    return Request(method, path, headers, names, body, _common_name(connection))


def _common_name(connection: ssl.SSLSocket) -> str:
    der = connection.getpeercert(binary_form=True)
    if not der:
        return ""
    subject = x509.load_der_x509_certificate(der).subject
    return str(subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
