from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from rke2.config.paths import Paths
from rke2.status.api import Api
from rke2.status.health import NO_SERVER, ComponentHealth, HealthEndpoint, check, check_all, endpoints


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
    assert check(HealthEndpoint("x", f"{address}/good")) == ComponentHealth("x", True, "ok")
    assert check(HealthEndpoint("x", f"{address}/bad")).message == "HTTP 503: because"


def test_what_listens_on_ipv6_alone_is_found() -> None:
    class Server(http.server.HTTPServer):
        address_family = socket.AF_INET6

    with Server(("::1", 0), http.server.SimpleHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        found = check(HealthEndpoint("x", f"http://127.0.0.1:{server.server_port}/no-such-file"))
        thread.join()
    assert found.message.startswith("HTTP 404")


def test_what_does_not_run_is_told_as_such(tmp_path: Path) -> None:
    assert check(HealthEndpoint("x", f"unix:{tmp_path}/socket")) == ComponentHealth("x", False, "not running")
    assert check(HealthEndpoint("x", "http://127.0.0.1:1/")).message == "not running (nothing listens)"
    assert not check(HealthEndpoint("x", "https://127.0.0.1:1/")).healthy


def test_a_load_balancer_without_servers_closes_what_it_accepts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as balancer:

        def refuse() -> None:
            balancer.accept()[0].close()

        thread = threading.Thread(target=refuse)
        thread.start()
        url = f"https://127.0.0.1:{balancer.getsockname()[1]}/ping"
        assert check(HealthEndpoint("supervisor", url, remote=True)).message == NO_SERVER
        thread.join()
    assert check(HealthEndpoint("supervisor", url, remote=True)).message == "the load balancer does not run"


def test_all_are_asked(address: str) -> None:
    found = check_all([HealthEndpoint("a", f"{address}/good"), HealthEndpoint("b", f"{address}/bad")])
    assert [health.healthy for health in found] == [True, False]


def names(paths: Paths, role: str, phases: set[str]) -> list[str]:
    api: Api = SimpleNamespace(url="https://127.0.0.1:6443", context=None)  # type: ignore[assignment]
    return [endpoint.component for endpoint in endpoints(paths, role, phases, api)]


def test_what_a_node_has_follows_from_its_boot(tmp_path: Path) -> None:
    pods = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"}
    node, balanced, last = (
        ["containerd", "kubelet"],
        ["API server", "supervisor"],
        ["kube-proxy", "supervisor"],
    )
    control_plane = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"]
    ask = partial(names, Paths(data_dir=tmp_path))
    assert ask("server", pods) == [*node, "etcd", *control_plane, *last]
    assert ask("server", {"etcd", "kube-proxy"}) == [*node, "etcd", *balanced, *last]
    assert ask("server", pods - {"etcd"}) == [*node, *control_plane, *last]


def test_an_agent_has_kube_proxy_if_the_cluster_has(tmp_path: Path) -> None:
    paths = Paths(data_dir=tmp_path)
    balanced = ["containerd", "kubelet", "API server", "supervisor"]
    assert names(paths, "agent", {"kube-proxy"}) == balanced
    paths.pod_manifests.mkdir(parents=True)
    (paths.pod_manifests / "kube-proxy.yaml").touch()
    assert names(paths, "agent", {"kube-proxy"}) == [*balanced, "kube-proxy"]


def test_the_port_for_supervisors_is_next_to_that_for_api_servers() -> None:
    api: Api = SimpleNamespace(url="https://127.0.0.1:7443", context=None)  # type: ignore[assignment]
    found = {endpoint.component: endpoint.url for endpoint in endpoints(Paths(), "agent", (), api)}
    assert found["API server"] == "https://127.0.0.1:7443/readyz"
    assert found["supervisor"] == "https://127.0.0.1:7444/ping"
