"""What an agent allows, mode by mode."""

from datetime import UTC, datetime
from typing import Any

import pytest

from rke2.tunnel.authorizer import Authorizer

STARTED = datetime(2026, 5, 1, 12, 0, 0, 500000, tzinfo=UTC)
MODES = ("agent", "cluster", "pod", "disabled")


def pods() -> list[dict[str, Any]]:
    return [
        {"spec": {}, "status": {"podIPs": [{"ip": "10.42.0.7"}, {"ip": "fd42::7"}]}},
        {"spec": {}, "status": {"podIPs": [{"ip": "10.42.0.8"}], "phase": "Failed"}},
        {
            "spec": {
                "hostNetwork": True,
                "containers": [
                    {"ports": [{"containerPort": 9100}, {"containerPort": 9101, "protocol": "UDP"}]}
                ],
            },
            "status": {"podIPs": [{"ip": "10.0.0.1"}]},
        },
        {},
    ]


def authorizer(mode: str) -> Authorizer:
    return Authorizer(
        mode,
        kubelet_address="10.0.0.1",
        node_ips=["10.0.0.1", "fd00::1"],
        cluster_cidrs=["10.42.0.0/16", "fd42::/56"],
        pods=pods,
        started=STARTED,
    )


@pytest.mark.parametrize("mode", MODES)
def test_the_kubelet_and_the_stream_server_are_allowed_in_every_mode(mode: str) -> None:
    allowed = authorizer(mode)
    assert allowed("tcp", "127.0.0.1:10250") == ("10.0.0.1", 10250)
    assert allowed("tcp", "[::1]:10250") == ("10.0.0.1", 10250)
    assert allowed("tcp", "127.0.0.1:10010") == ("127.0.0.1", 10010)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("network", "address"),
    [
        ("udp", "127.0.0.1:10250"),
        ("unix", "/run/k3s/containerd/containerd.sock"),
        ("tcp", "127.0.0.1:2379"),
        ("tcp", "127.0.0.2:10250"),
        ("tcp", "localhost:10250"),
        ("tcp", "0.0.0.0:10250"),
        ("tcp", "10.0.0.2:10250"),
        ("tcp", "192.0.2.1:80"),
        ("tcp", "127.0.0.1"),
        ("tcp", "127.0.0.1:"),
        ("tcp", "127.0.0.1:0"),
        ("tcp", "127.0.0.1:1025000000000000000"),
        ("tcp", "127.0.0.1:²"),
        ("tcp", ""),
    ],
)
def test_everything_else_is_refused(mode: str, network: str, address: str) -> None:
    assert authorizer(mode)(network, address) is None


@pytest.mark.parametrize(
    ("address", "modes"),
    [
        ("10.0.0.1:6443", {"cluster"}),
        ("[fd00::1]:22", {"cluster"}),
        ("10.42.9.9:80", {"cluster"}),
        ("10.42.0.7:80", {"cluster", "pod"}),
        ("[fd42::7]:80", {"cluster", "pod"}),
        ("10.42.0.8:80", {"cluster"}),
        ("10.0.0.1:9100", {"cluster", "pod"}),
        ("10.0.0.1:9101", {"cluster"}),
    ],
)
def test_pods_and_the_nodes_addresses_depend_on_the_mode(address: str, modes: set[str]) -> None:
    assert {mode for mode in MODES if authorizer(mode)("tcp", address)} == modes


@pytest.mark.parametrize(
    ("heartbeat", "port"),
    [
        ("2026-05-01T12:00:00Z", 20250),
        ("2026-05-01T11:59:59Z", 10250),
        (None, 10250),
        ("yesterday", 10250),
    ],
)
def test_the_kubelets_port_counts_from_a_fresh_heartbeat_on(heartbeat: str | None, port: int) -> None:
    allowed = authorizer("agent")
    ready = {"type": "Ready", "lastHeartbeatTime": heartbeat}
    kubelet = {"kubeletEndpoint": {"Port": 20250}}
    allowed.see_node({"status": {"conditions": [ready], "daemonEndpoints": kubelet}})
    assert allowed.kubelet_port == port
    assert allowed("tcp", f"127.0.0.1:{port}")
    allowed.see_node({})
    assert allowed.kubelet_port == port
