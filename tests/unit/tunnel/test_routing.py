"""Every rule of the supervisor's dialling, and the table it stands on."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from rke2.errors import TunnelError
from rke2.kube.informer import Change
from rke2.kube.objects import Key, Object
from rke2.tunnel.routing import Dialer, Routes
from rke2.tunnel.stream import DirectStream
from rke2.tunnel.targets import follow_node, follow_pod


def node(name: str, ip: str, port: int = 10250, egress: bool = False) -> Object:
    return {
        "metadata": {"name": name, "labels": {"egress.rke2.io/cluster": "true"} if egress else {}},
        "status": {
            "addresses": [{"type": "InternalIP", "address": ip}, {"type": "Hostname", "address": "other"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        },
    }


def pod(node_name: str, ip: str, host_network: bool = False, phase: str = "Running") -> Object:
    return {
        "spec": {"nodeName": node_name, "hostNetwork": host_network},
        "status": {"phase": phase, "podIPs": [{"ip": ip}]},
    }


def see_node(routes: Routes, name: str, new: Object | None) -> None:
    follow_node(routes, Change(Key("", name), {}, new))


def see_pod(routes: Routes, name: str, new: Object | None) -> None:
    follow_pod(routes, Change(Key("default", name), {}, new))


@dataclass
class Ways:
    """Stands for the tunnel, and records which way was taken."""

    connected: set[str]
    taken: list[str] = field(default_factory=list)

    async def dial(self, name: str, address: str) -> Any:
        if name not in self.connected:
            raise TunnelError("no session")
        self.taken.append(f"{name} {address}")

    async def open(self, host: str, port: int) -> Any:
        self.taken.append(f"direct {host}:{port}")


@pytest.fixture
def routes() -> Routes:
    routes = Routes()
    see_node(routes, "own", node("own", "10.0.0.1", egress=True))
    see_node(routes, "plain", node("plain", "10.0.0.2", port=10251))
    see_node(routes, "egress", node("egress", "10.0.0.3", egress=True))
    see_node(routes, "away", node("away", "10.0.0.4", egress=True))
    see_node(routes, "six", node("six", "fd00:0::6", egress=True))
    see_pod(routes, "a", pod("egress", "10.42.3.5"))
    see_pod(routes, "b", pod("plain", "10.42.2.5"))
    see_pod(routes, "c", pod("away", "10.42.4.5"))
    see_pod(routes, "d", pod("egress", "10.0.0.3", host_network=True))
    see_pod(routes, "e", pod("egress", "10.42.3.9", phase="Succeeded"))
    see_pod(routes, "f", pod("own", "10.42.1.5"))
    return routes


@pytest.mark.parametrize(
    ("host", "port", "way"),
    [
        ("10.0.0.1", 10250, "direct 0.0.0.9:10250"),
        ("own", 10250, "direct 0.0.0.9:10250"),
        ("10.0.0.1", 10010, "direct 127.0.0.1:10010"),
        ("10.0.0.1", 9100, "direct 10.0.0.1:9100"),
        ("10.42.1.5", 8443, "direct 10.42.1.5:8443"),
        ("10.0.0.2", 10251, "plain tcp/127.0.0.1:10251"),
        ("10.0.0.2", 10010, "plain tcp/127.0.0.1:10010"),
        ("plain", 10251, "plain tcp/127.0.0.1:10251"),
        ("10.0.0.2", 10250, "direct 10.0.0.2:10250"),
        ("plain", 9100, "direct plain:9100"),
        ("10.0.0.3", 10250, "egress tcp/127.0.0.1:10250"),
        ("10.0.0.3", 9100, "egress tcp/10.0.0.3:9100"),
        ("10.42.3.5", 8443, "egress tcp/10.42.3.5:8443"),
        ("10.42.3.5", 10250, "egress tcp/10.42.3.5:10250"),
        ("10.42.2.5", 8443, "direct 10.42.2.5:8443"),
        ("10.42.3.9", 8443, "direct 10.42.3.9:8443"),
        ("10.0.0.4", 9100, "direct 10.0.0.4:9100"),
        ("10.42.4.5", 8443, "direct 10.42.4.5:8443"),
        ("fd00:0:0::6", 9100, "six tcp/[fd00:0:0::6]:9100"),
        ("203.0.113.9", 443, "direct 203.0.113.9:443"),
        ("webhook.example", 443, "direct webhook.example:443"),
    ],
)
async def test_rule(routes: Routes, host: str, port: int, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = Ways({"plain", "egress", "six"})
    monkeypatch.setattr(DirectStream, "open", ways.open)
    await Dialer(routes, ways, "own", bind_address="0.0.0.9").dial(host, port)  # type: ignore[arg-type]
    assert ways.taken == [way]


@pytest.mark.parametrize("host", ["away", "10.0.0.4"])
@pytest.mark.parametrize("port", [10250, 10010])
async def test_reserved_ports_have_no_direct_way(
    routes: Routes, host: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = Ways(set())
    monkeypatch.setattr(DirectStream, "open", ways.open)
    with pytest.raises(TunnelError):
        await Dialer(routes, ways, "own").dial(host, port)  # type: ignore[arg-type]
    assert not ways.taken


def test_changed_and_deleted_nodes_are_forgotten(routes: Routes) -> None:
    see_node(routes, "plain", node("plain", "10.0.0.7"))
    assert routes.find("10.0.0.2", 10250) is None
    assert routes.find("10.0.0.7", 10250) is not None
    see_node(routes, "plain", None)
    assert routes.find("10.0.0.7", 10250) is None
    assert routes.find("plain", 10250) is None


def test_the_next_pod_keeps_an_address_when_the_first_ones_end_is_told_late(routes: Routes) -> None:
    see_pod(routes, "next", pod("away", "10.42.3.5"))
    see_pod(routes, "a", None)
    route = routes.find("10.42.3.5", 80)
    assert route is not None
    assert route.node == "away"
    see_pod(routes, "next", None)
    assert routes.find("10.42.3.5", 80) is None
