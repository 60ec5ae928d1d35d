"""Asks each component of this node how it is, at the address where its own probe asks."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

from rke2.config.model import SUPERVISOR_PORT
from rke2.config.paths import Paths
from rke2.kube.checks import gist
from rke2.status.api import Api
from rke2.status.asking import FAILURES, TIMEOUT, ask, reason

NO_SERVER = "no server of the cluster answers"
"""Message of what is reached through a load balancer."""


@dataclass(frozen=True)
class HealthEndpoint:
    """Where a component answers for its health.

    Args:
        url: ``unix:<path>`` is only connected to.
        context: TLS; None trusts nobody in particular, where a component makes its own certificate.
        remote: a load balancer listens there and passes the question on to a server.
    """

    component: str
    url: str
    context: ssl.SSLContext | None = None
    remote: bool = False


@dataclass(frozen=True)
class ComponentHealth:
    component: str
    healthy: bool
    message: str


def endpoints(paths: Paths, role: str, phases: Collection[str], api: Api | None) -> list[HealthEndpoint]:
    """Everything on this node that can be asked.

    Args:
        phases: names of the phases of the boot: a pod without one does not run here.
    """
    found = [HealthEndpoint("containerd", f"unix:{paths.containerd_socket}"), _KUBELET]
    if "etcd" in phases:
        found.append(_ETCD)
    if api:
        found += _apiserver(api) if "kube-apiserver" in phases else _load_balancers(api)
    # A server can switch kube-proxy off for all nodes: then an agent has a phase for it, and no manifest.
    written = role == "server" or paths.pod_manifest("kube-proxy").exists()
    found += [pod for pod in _PODS if pod.component in phases and (written or pod.component != "kube-proxy")]
    return [*found, _SUPERVISOR] if role == "server" else found


_KUBELET = HealthEndpoint("kubelet", "http://127.0.0.1:10248/healthz")
_ETCD = HealthEndpoint("etcd", "http://127.0.0.1:2381/health?serializable=true")
_PODS = (
    HealthEndpoint("kube-controller-manager", "https://127.0.0.1:10257/healthz"),
    HealthEndpoint("kube-scheduler", "https://127.0.0.1:10259/readyz"),
    HealthEndpoint("kube-proxy", "http://127.0.0.1:10256/livez"),
)
_SUPERVISOR = HealthEndpoint("supervisor", f"https://127.0.0.1:{SUPERVISOR_PORT}/ping")


def _apiserver(api: Api) -> list[HealthEndpoint]:
    return [HealthEndpoint("kube-apiserver", f"{api.url}/readyz", api.context)]


def _load_balancers(api: Api) -> list[HealthEndpoint]:
    """Those of a node without API server; the port for supervisors is next to that for API servers."""
    port = urlsplit(api.url).port or 0
    return [
        HealthEndpoint("API server", f"{api.url}/readyz", api.context, remote=True),
        HealthEndpoint("supervisor", f"https://127.0.0.1:{port + 1}/ping", remote=True),
    ]


def check_all(endpoints: Sequence[HealthEndpoint]) -> list[ComponentHealth]:
    """The health of every component, asked at the same time; none takes longer than `TIMEOUT`."""
    with ThreadPoolExecutor(len(endpoints)) as pool:
        return list(pool.map(check, endpoints))


def check(endpoint: HealthEndpoint) -> ComponentHealth:
    """Ask one component. A component that cannot be asked is unhealthy, with the reason as message."""
    try:
        if endpoint.url.startswith("unix:"):
            _connect_unix(endpoint.url.removeprefix("unix:"))
            return ComponentHealth(endpoint.component, True, "ok")
        status, body = ask(endpoint.url, endpoint.context)
    except FAILURES as error:
        return ComponentHealth(
            endpoint.component, False, _no_server(error) if endpoint.remote else reason(error)
        )
    message = "ok" if status == 200 else f"HTTP {status}: {gist(body)}"
    return ComponentHealth(endpoint.component, status == 200, message)


def _no_server(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "the load balancer does not run"
    return NO_SERVER


def _connect_unix(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT)
        connection.connect(path)
