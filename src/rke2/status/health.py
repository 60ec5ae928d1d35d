"""Asks each component of this node how it is, at the address where its own probe asks."""

from __future__ import annotations

import http.client
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rke2.config.model import APISERVER_PORT, SUPERVISOR_PORT
from rke2.config.paths import Paths

TIMEOUT = 2.0
"""Seconds a component has for its answer."""


@dataclass(frozen=True)
class Endpoint:
    """Where a component answers for its health.

    Args:
        scheme: ``unix`` only connects to a socket; ``https`` trusts the node's server CA, or nobody in
            particular where a component makes its own certificate.
        credentials: present the supervisor's client certificate.
    """

    component: str
    scheme: Literal["http", "https", "unix"]
    port: int = 0
    path: str = ""
    credentials: bool = False


ENDPOINTS = (
    Endpoint("containerd", "unix"),
    Endpoint("kubelet", "http", 10248, "/healthz"),
    Endpoint("etcd", "http", 2381, "/health?serializable=true"),
    Endpoint("kube-apiserver", "https", APISERVER_PORT, "/readyz", credentials=True),
    Endpoint("kube-controller-manager", "https", 10257, "/healthz"),
    Endpoint("kube-scheduler", "https", 10259, "/readyz"),
    Endpoint("kube-proxy", "http", 10256, "/livez"),
    Endpoint("join server", "https", SUPERVISOR_PORT, "/ping"),
)


@dataclass(frozen=True)
class Health:
    component: str
    healthy: bool
    message: str


def check_all(paths: Paths, endpoints: tuple[Endpoint, ...] = ENDPOINTS) -> list[Health]:
    """The health of every component, asked at the same time; none takes longer than `TIMEOUT`."""
    with ThreadPoolExecutor(len(endpoints)) as pool:
        return list(pool.map(lambda endpoint: check(endpoint, paths), endpoints))


def check(endpoint: Endpoint, paths: Paths) -> Health:
    """Ask one component. A component that cannot be asked is unhealthy, with the reason as message."""
    try:
        if endpoint.scheme == "unix":
            _connect_unix(paths.containerd_socket)
            return Health(endpoint.component, True, "ok")
        status, body = get(endpoint, paths)
    except (OSError, http.client.HTTPException) as error:
        return Health(endpoint.component, False, _reason(error))
    return Health(
        endpoint.component, status == 200, "ok" if status == 200 else f"HTTP {status}: {body[:200]}"
    )


def get(endpoint: Endpoint, paths: Paths) -> tuple[int, str]:
    """GET the endpoint's path on loopback: status and body.

    Raises:
        OSError: no connection, no TLS, or no credentials on disk.
        http.client.HTTPException: the answer is not HTTP.
    """
    connection = _connection(endpoint, paths)
    try:
        connection.request("GET", endpoint.path, headers={"Accept": "application/json"})
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    finally:
        connection.close()


def _connection(endpoint: Endpoint, paths: Paths) -> http.client.HTTPConnection:
    if endpoint.scheme == "http":
        return http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=TIMEOUT)
    if endpoint.credentials:
        context = ssl.create_default_context(cafile=str(paths.tls / "server-ca.crt"))
        context.load_cert_chain(paths.tls / "client-supervisor.crt", paths.tls / "client-supervisor.key")
    else:
        # Only loopback is asked, and nothing is sent: who answers there is the component or an intruder with root.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection("127.0.0.1", endpoint.port, timeout=TIMEOUT, context=context)


def _connect_unix(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT)
        connection.connect(str(path))


def _reason(error: Exception) -> str:
    match error:
        case ConnectionRefusedError():
            return "not running (nothing listens)"
        case FileNotFoundError():
            return "not running"
        case TimeoutError():
            return f"no answer within {TIMEOUT:.0f} s"
        case _:
            return str(error) or type(error).__name__
