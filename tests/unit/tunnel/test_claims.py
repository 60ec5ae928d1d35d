"""A node says of itself what it likes: nobody's connections come to it by that, and no word is the last one."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address, ip_network
from typing import Any, cast

import pytest

from rke2.kube.client import Client
from rke2.kube.informer import Change, Informer
from rke2.kube.objects import Key, Object
from rke2.kube.resources import NODES
from rke2.tunnel.claims import Protected
from rke2.tunnel.routing import Dialer, Routes
from rke2.tunnel.stream import DirectStream
from rke2.tunnel.targets import follow, follow_node, follow_pod, report_faults
from tests.unit.config.nodes import server as server_of

from .ends import until
from .test_routing import Ways

OWN = {ip_address("10.0.0.1"), ip_address("192.168.0.1")}
PROTECTED = Protected(
    node="own",
    own=OWN.__contains__,
    shared=frozenset({"10.0.0.100", "cluster.example", "away"}),
    services=(ip_network("10.43.0.0/16"), ip_network("fd00:43::/112")),
    pods=(ip_network("10.42.0.0/16"),),
)
OLD, NEW = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"


@pytest.fixture
def routes() -> Routes:
    made = Routes(PROTECTED)
    see(made, "own", "10.0.0.1", created=NEW, server=True)
    see(made, "away", "10.0.0.2", created=NEW, server=True)
    see(made, "honest", "10.0.0.3", created="2026-01-15T00:00:00Z", networks=["10.42.3.0/24"])
    return made


def see(
    routes: Routes,
    name: str,
    *addresses: str,
    created: str = OLD,
    uid: str = "",
    server: bool = False,
    port: int = 10250,
    networks: list[str] | None = None,
    egress: bool = True,
) -> None:
    labels = {"egress.rke2.io/cluster": "true"}
    if server:
        labels["node-role.kubernetes.io/control-plane"] = "true"
    node: Object = {
        "metadata": {"name": name, "uid": uid, "creationTimestamp": created, "labels": labels},
        "spec": {"podCIDRs": networks or []},
        "status": {
            "addresses": [{"type": "InternalIP", "address": address} for address in addresses],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        },
    }
    follow_node(routes, Change(Key("", name), None, node), egress=egress)


def see_pod(
    routes: Routes, name: str, node: str, address: str, created: str = OLD, ending: bool = False
) -> None:
    meta: dict[str, Any] = {"name": name, "creationTimestamp": created}
    if ending:
        meta["deletionTimestamp"] = NEW
    pod: Object = {
        "metadata": meta,
        "spec": {"nodeName": node},
        "status": {"phase": "Running", "podIPs": [{"ip": address}]},
    }
    follow_pod(routes, Change(Key("default", name), None, pod))


def owner(routes: Routes, host: str, port: int = 10250) -> str:
    route = routes.find(host, port)
    return route.node if route else ""


def faults(routes: Routes) -> set[tuple[str, str]]:
    return {(fault.node, fault.address) for fault in routes.faults()}


def test_what_a_servers_configuration_protects() -> None:
    made = Protected.of(
        server_of(
            "--node-ip=192.0.2.7,2001:db8::7",
            "--node-external-ip=198.51.100.7",
            "--tls-san=Cluster.Example,203.0.113.7",
            "--cluster-cidr=10.42.0.0/16,2001:db8::/56",
            "--service-cidr=10.43.0.0/16,fd00:43::/112",
            "--node-name=own",
        )
    )
    assert made.node == "own"
    assert all(made.own(ip_address(each)) for each in ("192.0.2.7", "2001:db8::7", "198.51.100.7"))
    assert not made.own(ip_address("192.0.2.8"))
    assert {"cluster.example", "203.0.113.7"} <= made.shared
    assert list(map(str, made.services)) == ["10.43.0.0/16", "fd00:43::/112"]
    assert list(map(str, made.pods)) == ["10.42.0.0/16"], "hosts are in the other one"


# --- two Nodes -----------------------------------------------------------------------------------------
def test_who_is_older_keeps_the_address_whoever_says_so_last(routes: Routes) -> None:
    see(routes, "newcomer", "10.0.0.3", created=NEW)
    assert owner(routes, "10.0.0.3") == "honest"
    assert faults(routes) == {("newcomer", "10.0.0.3")}


@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "b", "a"), ("b", "a", "c")])
def test_a_restart_of_the_server_changes_nothing(order: tuple[str, ...]) -> None:
    """It hears of Nodes in another order then. Those of the same second are told apart by their uids."""
    made, claims = Routes(PROTECTED), {"a": (NEW, "1"), "b": (OLD, "3"), "c": (OLD, "2")}
    for name in order:
        see(made, name, "10.0.0.9", created=claims[name][0], uid=claims[name][1])
    assert owner(made, "10.0.0.9") == "c"
    assert faults(made) == {("a", "10.0.0.9"), ("b", "10.0.0.9")}


def test_the_second_has_the_address_when_the_first_gives_it_up(routes: Routes) -> None:
    see(routes, "newcomer", "10.0.0.3", created=NEW)
    see(routes, "honest", "10.0.0.33", created=OLD)
    assert owner(routes, "10.0.0.3") == "newcomer"
    see(routes, "honest", "10.0.0.3", created=OLD)
    follow_node(routes, Change(Key("", "honest"), {}, None))
    assert owner(routes, "10.0.0.3") == "newcomer"
    assert faults(routes) == set()


def test_a_server_keeps_its_address_from_an_agent_that_is_older(routes: Routes) -> None:
    see(routes, "agent", "10.0.0.2", created=OLD)
    assert owner(routes, "10.0.0.2") == "away"
    assert faults(routes) == {("agent", "10.0.0.2")}


# --- what nobody may claim -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",  # this server's
        "192.168.0.1",  # this server's, and not in its Node
        "::ffff:10.0.0.1",
        "10.0.0.100",  # tls-san
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "0.0.0.0",
        "::",
        "169.254.169.254",
        "fe80::1",
        "224.0.0.1",
        "10.43.0.1",  # the Service kubernetes
        "fd00:43::1",
        "10.42.3.5",  # a pod's
        "webhook.example",
        "",
    ],
)
def test_nobody_claims(routes: Routes, address: str) -> None:
    see(routes, "liar", address)
    assert owner(routes, address) in ("", "own")
    assert routes.faults() or address in ("webhook.example", "")


def test_hosts_and_pods_may_share_a_network() -> None:
    made = Routes(Protected(node="own", pods=()))
    see(made, "agent", "10.42.0.7")
    assert owner(made, "10.42.0.7") == "agent"


def test_an_address_without_a_field_ends_nothing(routes: Routes) -> None:
    node: Object = {"metadata": {"name": "odd"}, "status": {"addresses": [{"type": "InternalIP"}]}}
    follow_node(routes, Change(Key("", "odd"), None, node))
    assert owner(routes, "odd") == "odd"


async def test_what_is_this_servers_never_leaves_it(routes: Routes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also before its own Node is seen, and if that was deleted."""
    follow_node(routes, Change(Key("", "own"), {}, None))
    see(routes, "liar", "10.0.0.1", "192.168.0.1")
    ways = Ways({"liar"})
    monkeypatch.setattr(DirectStream, "open", ways.open)
    dialer = Dialer(routes, ways, "own", bind_address="127.0.0.1")  # type: ignore[arg-type]
    for port in (10250, 10010, 6443):
        await dialer.dial("192.168.0.1", port)
    assert ways.taken == ["direct 127.0.0.1:10250", "direct 127.0.0.1:10010", "direct 192.168.0.1:6443"]


# --- names ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name",
    [
        "10.0.0.3",
        "10.0.0.250",
        "127.1",
        "2130706433",
        "localhost",
        "db.localhost",
        "cluster.example",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "metrics-server.kube-system.svc",
        "metrics-server.kube-system.svc.cluster.local",
    ],
)
def test_a_node_that_is_called_as_something_else(routes: Routes, name: str) -> None:
    see(routes, name, "10.0.0.66")
    assert owner(routes, name) in ("", "honest")
    assert owner(routes, name.upper() + ".") in ("", "honest")
    assert owner(routes, "10.0.0.66") == name
    assert (name, name) in faults(routes)


def test_servers_may_be_called_as_tls_san_says(routes: Routes) -> None:
    assert owner(routes, "away") == "away"
    assert faults(routes) == set()


def test_names_are_the_same_in_capitals(routes: Routes) -> None:
    assert owner(routes, "HONEST.") == "honest"


# --- what else a kubelet writes ------------------------------------------------------------------------
@pytest.mark.parametrize("port", [443, 1023, 0, -1])
def test_no_privileged_port_is_a_kubelets(routes: Routes, port: int) -> None:
    see(routes, "webhook.example", "203.0.113.9", port=port, egress=False)
    for host in ("webhook.example", "203.0.113.9"):
        found = routes.find(host, 443)
        assert found is None or not (found.reserved or found.tunnelled)


def test_the_label_of_egress_counts_only_where_the_mode_says_so(routes: Routes) -> None:
    see(routes, "agent", "10.0.0.8", egress=False)
    route = routes.find("10.0.0.8", 8443)
    assert route is not None
    assert not route.tunnelled


# --- pods ----------------------------------------------------------------------------------------------
def test_a_pod_takes_no_nodes_address(routes: Routes) -> None:
    see_pod(routes, "liar", "away", "10.0.0.3")
    assert owner(routes, "10.0.0.3") == "honest"
    see_pod(routes, "liar", "honest", "10.0.0.2")
    assert owner(routes, "10.0.0.2") == "away"


@pytest.mark.parametrize("address", ["10.0.0.1", "10.43.0.10", "127.0.0.1", "10.0.0.100"])
def test_nor_what_is_nobodys(routes: Routes, address: str) -> None:
    see_pod(routes, "liar", "honest", address)
    assert owner(routes, address) in ("", "own")
    assert ("honest", address) in faults(routes)


def test_a_pod_keeps_its_address_from_one_on_another_node(routes: Routes) -> None:
    see_pod(routes, "victim", "honest", "10.42.3.5", created=NEW)
    see_pod(routes, "liar", "away", "10.42.3.5", created=OLD)
    assert owner(routes, "10.42.3.5", 80) == "honest"
    assert faults(routes) == set()


def test_the_next_pod_has_the_address_when_the_last_one_is_ending(routes: Routes) -> None:
    see_pod(routes, "last", "honest", "10.42.9.5")
    see_pod(routes, "next", "away", "10.42.9.5", created=NEW)
    assert owner(routes, "10.42.9.5", 80) == "honest"
    see_pod(routes, "last", "honest", "10.42.9.5", ending=True)
    assert owner(routes, "10.42.9.5", 80) == "away"
    follow_pod(routes, Change(Key("default", "last"), {}, None))
    assert owner(routes, "10.42.9.5", 80) == "away"


def test_the_networks_of_nodes_are_known_late(routes: Routes) -> None:
    """Pods are watched on another connection than Nodes."""
    see_pod(routes, "victim", "late", "10.42.7.5", created=NEW)
    see_pod(routes, "liar", "honest", "10.42.7.5", created=OLD)
    see(routes, "late", "10.0.0.7", networks=["10.42.7.0/24", "nonsense"])
    assert owner(routes, "10.42.7.5", 80) == "late"


# --- it is told ----------------------------------------------------------------------------------------
async def test_a_fault_is_told_once_and_again_when_it_is_back(routes: Routes) -> None:
    told: list[tuple[str, str]] = []
    task = asyncio.create_task(
        report_faults(routes, lambda node, text: told.append((node, text)), settle=0.01)
    )
    try:
        see(routes, "newcomer", "10.0.0.3", created=NEW)
        await until(lambda: len(told) == 1)
        await asyncio.sleep(0.05)
        ((node, text),) = told
        assert node == "newcomer"
        assert text.startswith(
            "10.0.0.3 is not taken for an address of node newcomer: it is that of node honest."
        )
        see(routes, "newcomer", "10.0.0.4", created=NEW)
        await asyncio.sleep(0.05)
        see(routes, "newcomer", "10.0.0.3", created=NEW)
        await until(lambda: len(told) == 2)
    finally:
        task.cancel()


async def test_nodes_that_swap_their_addresses_are_not_told(routes: Routes) -> None:
    told: list[str] = []
    task = asyncio.create_task(report_faults(routes, lambda node, text: told.append(node), settle=0.1))
    try:
        await asyncio.sleep(0.05)
        see(routes, "newcomer", "10.0.0.3", created=NEW)
        await asyncio.sleep(0.1)
        see(routes, "newcomer", "10.0.0.4", created=NEW)
        await asyncio.sleep(0.3)
        assert told == []
    finally:
        task.cancel()


async def test_what_went_while_nobody_watched_keeps_no_address(routes: Routes) -> None:
    """The view of the cluster failed and begins again: it is told of what is there, not of what has gone."""
    client = cast(Client, None)
    task = asyncio.create_task(
        follow(Informer(client, NODES), client, routes, "agent", lambda node, text: None)
    )
    try:
        await asyncio.sleep(0)
        assert owner(routes, "10.0.0.3") == ""
        see(routes, "next", "10.0.0.3", created=NEW)
        assert owner(routes, "10.0.0.3") == "next"
    finally:
        task.cancel()
