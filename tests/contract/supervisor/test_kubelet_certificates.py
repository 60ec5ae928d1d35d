"""Serving certificates of kubelets over the wire: which names and addresses a node gets, and which nobody gets.

The client of these tests comes from 127.0.0.1, which no node can have; what is said to come from elsewhere is told so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cryptography import x509

from rke2.config.model import ComponentSettings
from rke2.kube.resources import ENDPOINT_SLICES
from rke2.supervisor.api import certificates
from tests.authorities import new_key
from tests.contract.supervisor.harness import (
    NODE,
    Supervisor,
    csr,
    register,
    supervisor,
    until_known,
)
from tests.contract.supervisor.test_answers import Etcd
from tests.unit.supervisor.client import Answer

SERVER_ROLE = {"node-role.kubernetes.io/control-plane": "true"}
NETWORK = {
    "tls_sans": ("lb.example.org", "198.51.100.1", "*.wild.example.org"),
    "service_cidrs": (ip_network("10.43.0.0/16"), ip_network("fd00:43::/112")),
    "advertise_address": ip_address("198.51.100.2"),
}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Supervisor]:
    with supervisor(tmp_path, network=NETWORK) as found:
        found.become_ready()
        yield found


def order(running: Supervisor, addresses: str, name: str = "node2", file: str = "serving-kubelet") -> Answer:
    own = (running.config.paths.node_config_dir / "password").read_text().strip()
    password = own if name == running.config.node.name else f"of {name}"
    headers = {"rke2-Node-Name": name, "rke2-Node-Password": password, "rke2-Node-IP": addresses}
    return running.ask("POST", f"/v1-rke2/{file}.crt", NODE, body=csr(new_key()), headers=headers)


def certified(answer: Answer) -> list[str]:
    """Names and addresses in the certificate, but for those that every kubelet has."""
    assert answer.status == 200, answer.body
    leaf = x509.load_pem_x509_certificate(answer.body)
    san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    names = [*san.get_values_for_type(x509.DNSName), *map(str, san.get_values_for_type(x509.IPAddress))]
    assert {"localhost", "127.0.0.1"} <= {*names}
    return [name for name in names if name not in ("localhost", "127.0.0.1")]


def refusal(answer: Answer) -> str:
    assert answer.status == 400
    assert answer.json["reason"] == "BadRequest"
    return str(answer.message)


def coming_from(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(certificates, "peer_address", lambda request: address)


def known(running: Supervisor, name: str, address: str, **more: str) -> None:
    """A Node that has joined: first its password, then itself."""
    joining = order(running, "", name, "client-kubelet")
    assert joining.status == 200, joining.body
    register(running, name, address=address, **more)
    running.run(until_known(running, name))


# --- addresses -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("10.43.0.1", "a service address"),
        ("10.43.0.10", "a service address"),
        ("10.43.255.255", "a service address"),
        ("::ffff:10.43.0.1", "a service address"),
        ("fd00:43::1", "a service address"),
        ("fd00:43::ffff", "a service address"),
        ("198.51.100.1", "an address of the servers (tls-san)"),
        ("198.51.100.2", "an address of server node1"),
        ("192.0.2.1", "an address of server node1"),
        ("192.0.2.60", "an address of Node server2; if that machine is gone, delete its Node"),
        ("192.0.2.61", "an address of Node worker; if that machine is gone, delete its Node"),
        ("2001:DB8:0::61", "an address of Node worker; if that machine is gone, delete its Node"),
        ("192.0.2.70", "the address of an API server"),
    ],
)
@pytest.mark.parametrize("others", ["", "192.0.2.2,"])
def test_addresses_of_others(running: Supervisor, address: str, whose: str, others: str) -> None:
    known(running, "server2", "192.0.2.60", **SERVER_ROLE)
    known(running, "worker", "192.0.2.61,2001:db8::61")
    running.run(publish_api_server(running, "192.0.2.70"))
    message = refusal(order(running, others + address))
    shown = address.lower().replace("0::", ":").removeprefix("::ffff:")
    assert message == f"{shown} cannot be an address of node 'node2': it is {whose}"


async def publish_api_server(running: Supervisor, address: str) -> None:
    meta = {
        "name": "kubernetes",
        "namespace": "default",
        "labels": {"kubernetes.io/service-name": "kubernetes"},
    }
    endpoints = [{"addresses": [address], "conditions": {"ready": True}}]
    running.kube.put(
        ENDPOINT_SLICES,
        {"metadata": meta, "endpoints": endpoints, "ports": [{"name": "https", "port": 6443}]},
    )
    core = running.server.core.current
    assert core
    while not core.apiservers():
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("address", ["10.43.0.1", "198.51.100.1", "192.0.2.60", "192.0.2.61"])
def test_neither_does_a_node_get_them_by_saying_that_they_are_its_own(
    running: Supervisor, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """In its Node, or by coming from there, as pods of another node may."""
    known(running, "server2", "192.0.2.60", **SERVER_ROLE)
    known(running, "worker", "192.0.2.61", created="2026-01-01T00:00:00Z")
    known(running, "node2", f"192.0.2.2,{address}", created="2026-01-02T00:00:00Z")
    coming_from(monkeypatch, address)
    assert address in refusal(order(running, f"192.0.2.2,{address}"))


def test_the_older_of_two_nodes_with_one_address_keeps_it(running: Supervisor) -> None:
    known(running, "node2", "192.0.2.2", created="2026-01-01T00:00:00Z")
    known(running, "thief", "192.0.2.2", created="2026-01-02T00:00:00Z")
    assert certified(order(running, "192.0.2.2")) == ["node2", "192.0.2.2"]
    assert "Node node2" in refusal(order(running, "192.0.2.2", "thief"))


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "169.254.1.1", "fe80::1"),
        *("255.255.255.255", "240.0.0.1", "192.0.2.61%eth0", "2001:db8::61%eth0", "fd00:43::1%1"),
    ],
)
def test_addresses_no_node_can_have(running: Supervisor, address: str) -> None:
    """A zone belongs to an interface of one machine; a certificate would hold the address without it."""
    known(running, "worker", "2001:db8::61")
    answer = order(running, address)
    assert answer.status in (400, 500)
    told = (
        f"{address} is not an address that a node can have",
        "Internal error occurred: invalid node IP address",
    )
    assert answer.message in told


def test_too_many_addresses(running: Supervisor) -> None:
    many = ",".join(f"192.0.2.{number}" for number in range(10, 27))
    assert refusal(order(running, many)) == "more than 16 node IP addresses"


def test_a_node_that_joins_gets_the_first_address_of_each_family(running: Supervisor) -> None:
    """Behind NAT or a load balancer nothing proves them, and the API server calls the kubelet by them."""
    asked = "192.0.2.2,2001:db8::2,203.0.113.2,2001:db8:ffff::2"
    assert certified(order(running, asked)) == ["node2", "192.0.2.2", "2001:db8::2"]


def test_the_address_it_comes_from_is_certified(running: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    coming_from(monkeypatch, "203.0.113.2")
    assert certified(order(running, "192.0.2.2,203.0.113.2")) == ["node2", "192.0.2.2", "203.0.113.2"]
    assert certified(order(running, "192.0.2.3", "node3")) == ["node3", "192.0.2.3"]


def test_afterwards_only_what_is_proven(running: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    known(running, "node2", "192.0.2.2,2001:DB8:0::2")
    coming_from(monkeypatch, "203.0.113.2")
    asked = "192.0.2.99,192.0.2.2,2001:db8::2,203.0.113.2,2001:db8::99"
    assert certified(order(running, asked)) == ["node2", "192.0.2.2", "2001:db8::2", "203.0.113.2"]


def test_external_addresses_are_proven_by_the_annotation(running: Supervisor) -> None:
    known(running, "node2", "192.0.2.2", external="203.0.113.2,2001:db8:ffff::2")
    asked = "192.0.2.2,203.0.113.2,2001:db8:ffff::2,203.0.113.3"
    assert certified(order(running, asked)) == ["node2", "192.0.2.2", "203.0.113.2", "2001:db8:ffff::2"]


def test_a_server_keeps_its_own_addresses(tmp_path: Path) -> None:
    """Also if they are in tls-san, as they often are."""
    sans = {"tls_sans": ("192.0.2.1", "192.0.2.60", "node1")}
    with supervisor(tmp_path, network=sans) as running:
        running.become_ready()
        known(running, "server2", "192.0.2.60", **SERVER_ROLE)
        assert certified(order(running, "192.0.2.60", "server2")) == ["server2", "192.0.2.60"]
        assert certified(order(running, "192.0.2.1", "node1")) == ["node1", "192.0.2.1"]


def test_servers_without_an_api_server_know_what_is_configured(tmp_path: Path) -> None:
    off = {"kube-apiserver": ComponentSettings(disabled=True)}
    with supervisor(tmp_path, etcd=Etcd(), network=NETWORK, components=off) as running:
        assert certified(order(running, "192.0.2.2,192.0.2.3")) == ["node2", "192.0.2.2"]
        for address in ("10.43.0.1", "198.51.100.1", "192.0.2.1"):
            assert address in refusal(order(running, address))
        assert "Kubernetes API" in refusal(order(running, "192.0.2.2", "kubernetes"))


# --- names -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("file", ["serving-kubelet", "client-kubelet"])
@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("kubernetes", "a name of the Kubernetes API"),
        ("KUBERNETES", "a name of the Kubernetes API"),
        ("kubernetes.default.svc", "a name of the Kubernetes API"),
        ("kubernetes.example.org", "a name of the Kubernetes API"),
        ("localhost", "a name of every machine"),
        ("app.localhost", "a name of every machine"),
        ("cluster.local", "a name of the cluster's services"),
        ("web.default.svc.cluster.local", "a name of the cluster's services"),
        ("web.default.svc", "a name of the cluster's services"),
        ("lb.example.org", "a name of the servers (tls-san)"),
        ("server2", "a name of server server2.example.org"),
        ("alias.example.org", "a host name of Node worker"),
    ],
)
def test_names_of_others(running: Supervisor, file: str, name: str, whose: str) -> None:
    known(running, "server2.example.org", "192.0.2.60", **SERVER_ROLE)
    known(running, "worker", "alias.example.org", kind="Hostname")
    message = refusal(order(running, "192.0.2.2", name, file))
    assert message == f"{name.lower()!r} cannot be the name of a node: it is {whose}"


def test_the_short_name_of_this_server(tmp_path: Path) -> None:
    with supervisor(tmp_path, node={"name": "node1.example.org"}) as running:
        running.become_ready()
        assert "server node1.example.org" in refusal(order(running, "192.0.2.2", "node1"))


def test_a_refused_name_leaves_nothing_behind(running: Supervisor) -> None:
    order(running, "192.0.2.2", "kubernetes")
    assert not any(key.name == "kubernetes.node-password.rke2" for _, key in running.kube._objects)


def test_a_node_keeps_its_name_whatever_others_say_of_themselves(running: Supervisor) -> None:
    known(running, "node2", "192.0.2.2")
    known(running, "thief", "node2", kind="Hostname")
    assert certified(order(running, "192.0.2.2")) == ["node2", "192.0.2.2"]


@pytest.mark.parametrize(
    "name", ["kubernetes1", "my-kubernetes", "localhost1", "cluster.local.example.org", "node1-2"]
)
def test_names_that_only_look_alike(running: Supervisor, name: str) -> None:
    assert certified(order(running, "192.0.2.2", name)) == [name, "192.0.2.2"]


def test_a_node_that_is_called_like_an_address(running: Supervisor) -> None:
    assert "a service address" in refusal(order(running, "192.0.2.2", "10.43.0.1"))
    assert "server node1" in refusal(order(running, "192.0.2.2", "192.0.2.1"))
    assert certified(order(running, "192.0.2.2", "192.0.2.2")) == ["192.0.2.2"]
    assert certified(order(running, "192.0.2.3", "192.0.2.9")) == ["192.0.2.3"]


# --- what is logged --------------------------------------------------------------------------------
def test_what_was_issued_is_logged(running: Supervisor, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, certificates.__name__):
        answer = order(running, "192.0.2.2,203.0.113.2")
    leaf = x509.load_pem_x509_certificate(answer.body)
    until = f"{leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    assert [record.getMessage() for record in caplog.records if record.name == certificates.__name__] == [
        "Issued serving-kubelet.crt to node at 127.0.0.1: node2 node2 localhost 127.0.0.1 192.0.2.2, serial "
        f"{leaf.serial_number:x}, valid until {until}; left out, because not proven: 203.0.113.2"
    ]


def test_refusals_are_logged(running: Supervisor, caplog: pytest.LogCaptureFixture) -> None:
    order(running, "10.43.0.1")
    order(running, "192.0.2.2", "kubernetes\x7f")
    for _ in range(20):
        running.ask("GET", "/v1-rke2/config", "node:wrong")
    told = [record.getMessage() for record in caplog.records if record.name == "rke2.supervisor.refusals"]
    assert told[0] == (
        "Refused POST /v1-rke2/serving-kubelet.crt to 127.0.0.1: 10.43.0.1 cannot be an address of node "
        "'node2': it is a service address"
    )
    assert all(line.isprintable() for line in told)
    assert "Refused GET /v1-rke2/config to 127.0.0.1: not authorized" in told
    assert len(told) == 5
