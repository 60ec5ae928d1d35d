from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from rke2.config.paths import Paths
from rke2.status.api import Api
from rke2.status.health import NO_SERVER, Endpoint, Health, check, check_all, endpoints


@pytest.fixture
def address() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/good" else 503)
            self.end_headers()
            self.wfile.write(b"because")

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_health_over_http(address: str) -> None:
    assert check(Endpoint("x", f"{address}/good")) == Health("x", True, "ok")
    assert check(Endpoint("x", f"{address}/bad")).message == "HTTP 503: because"


def test_what_does_not_run_is_told_as_such(tmp_path: Path) -> None:
    assert check(Endpoint("x", f"unix:{tmp_path}/socket")) == Health("x", False, "not running")
    assert check(Endpoint("x", "http://127.0.0.1:1/")).message == "not running (nothing listens)"
    assert not check(Endpoint("x", "https://127.0.0.1:1/")).healthy


def test_a_load_balancer_without_servers_closes_what_it_accepts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as balancer:

        def refuse() -> None:
            balancer.accept()[0].close()

        thread = threading.Thread(target=refuse)
        thread.start()
        url = f"https://127.0.0.1:{balancer.getsockname()[1]}/ping"
        assert check(Endpoint("supervisor", url, remote=True)).message == NO_SERVER
        thread.join()
    assert check(Endpoint("supervisor", url, remote=True)).message == "the load balancer does not run"


def test_all_are_asked(address: str) -> None:
    found = check_all([Endpoint("a", f"{address}/good"), Endpoint("b", f"{address}/bad")])
    assert [health.healthy for health in found] == [True, False]


def names(role: str, phases: set[str], url: str) -> list[str]:
    api: Api = SimpleNamespace(url=url, context=None)  # type: ignore[assignment]
    return [endpoint.component for endpoint in endpoints(Paths(), role, phases, api)]


def test_what_a_node_has_follows_from_its_boot() -> None:
    pods = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"}
    url, balanced = "https://127.0.0.1:6443", ["API server", "supervisor"]
    node = ["containerd", "kubelet"]
    control_plane = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"]
    assert names("server", pods, url) == [*node, "etcd", *control_plane, "kube-proxy", "join server"]
    assert names("server", {"etcd", "kube-proxy"}, url) == [
        *node,
        "etcd",
        *balanced,
        "kube-proxy",
        "join server",
    ]
    assert names("server", pods - {"etcd"}, url) == [*node, *control_plane, "kube-proxy", "join server"]
    assert names("agent", {"kube-proxy"}, url) == [*node, *balanced, "kube-proxy"]
    assert names("agent", set(), url) == [*node, *balanced]


def test_the_port_for_supervisors_is_next_to_that_for_api_servers() -> None:
    api: Api = SimpleNamespace(url="https://[::1]:7443", context=None)  # type: ignore[assignment]
    found = {endpoint.component: endpoint.url for endpoint in endpoints(Paths(), "agent", (), api)}
    assert found["API server"] == "https://[::1]:7443/readyz"
    assert found["supervisor"] == "https://[::1]:7444/ping"
