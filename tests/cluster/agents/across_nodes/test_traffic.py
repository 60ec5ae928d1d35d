"""Traffic between pods on different nodes, over VXLAN: pod to pod, by service, by name, and to and from hosts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from tests.cluster.eventually import eventually
from tests.cluster.http import fetch, get
from tests.cluster.members import Members
from tests.cluster.namespace import Namespace
from tests.cluster.objects import PORT, SERVE_OWN_NAME, Object, pod, service

NODES = ("server-0", "agent-0")
OTHER = {"server-0": "agent-0", "agent-0": "server-0"}
LARGE = 4 << 20
"""Bytes, more than any buffer holds: a wrong MTU lets small packets through only."""


@dataclass(frozen=True)
class Site:
    """On each node: a web server ``web-<node>`` behind a service of its name, a client ``client-<node>``."""

    members: Members
    namespace: Namespace

    def fetch(self, node: str, url: str) -> str:
        return fetch(self.namespace, f"client-{node}", url)

    def address(self, pod_name: str) -> str:
        return str(self.namespace.find("pod", pod_name)["status"]["podIP"])


def _on(node: str, made: Object) -> Object:
    made["spec"]["nodeName"] = node
    return made


@pytest.fixture(scope="module")
def site(pair: Members) -> Iterator[Site]:
    namespace = Namespace.create(pair["server-0"].node, f"across-{os.getpid()}")
    large = f"head -c {LARGE} /dev/zero > /tmp/large; {SERVE_OWN_NAME[-1]}"
    for node in NODES:
        namespace.apply(
            _on(node, pod(f"web-{node}", ["sh", "-c", large], serves="/")),
            _on(node, pod(f"client-{node}")),
            service(f"web-{node}", f"web-{node}"),
            service(f"port-{node}", f"web-{node}", type="NodePort"),
        )
    namespace.until(
        "condition=Ready", *(f"pod/{kind}-{node}" for kind in ("web", "client") for node in NODES)
    )
    yield Site(pair, namespace)
    namespace.delete()


def test_both_nodes_are_ready_and_have_their_roles(pair: Members) -> None:
    template = (
        "{range .items[*]}{.metadata.name}={.metadata.labels.node-role\\.kubernetes\\.io/control-plane} {end}"
    )
    assert pair.kubectl("get", "nodes", "--output", f"jsonpath={template}").split() == [
        "agent-0=",
        "server-0=true",
    ]
    for node in NODES:
        assert pair.ready(node)


@pytest.mark.parametrize("node", NODES)
def test_pods_reach_pods_of_the_other_node(site: Site, node: str) -> None:
    target = f"web-{OTHER[node]}"
    eventually(lambda: site.fetch(node, f"{site.address(target)}:{PORT}"), "it answers", 30, ok=target.__eq__)


@pytest.mark.parametrize("node", NODES)
def test_large_answers_pass(site: Site, node: str) -> None:
    url = f"http://{site.address(f'web-{OTHER[node]}')}:{PORT}/large"
    done = site.namespace.exec(f"client-{node}", "sh", "-c", f"timeout 20 wget -q -O - {url} | sha256sum")
    same = site.namespace.exec(f"web-{OTHER[node]}", "sha256sum", "/tmp/large")
    assert done.stdout.split()[0] == same.stdout.split()[0], done.stderr


@pytest.mark.parametrize("node", NODES)
def test_services_answer_whichever_node_their_pods_are_on(site: Site, node: str) -> None:
    for target in NODES:
        address = site.namespace.find("service", f"web-{target}")["spec"]["clusterIP"]
        eventually(partial(site.fetch, node, address), "it answers", 30, ok=f"web-{target}".__eq__)


@pytest.mark.parametrize("node", NODES)
def test_names_are_resolved_on_every_node(site: Site, node: str) -> None:
    target = f"web-{OTHER[node]}"
    assert site.fetch(node, target) == target
    assert site.fetch(node, f"{target}.{site.namespace.name}.svc.cluster.local") == target


@pytest.mark.parametrize("node", NODES)
def test_hosts_reach_services_and_node_ports_of_other_nodes(site: Site, node: str) -> None:
    target = OTHER[node]
    port = site.namespace.find("service", f"port-{target}")["spec"]["ports"][0]["nodePort"]
    cluster_address = site.namespace.find("service", f"web-{target}")["spec"]["clusterIP"]
    host = site.members[node].node.host
    for url in (
        cluster_address,
        f"{host.address}:{port}",
        f"{site.members[target].node.host.address}:{port}",
    ):
        got = host.exec(["busybox", *get(url)])
        assert got.stdout.strip() == f"web-{target}", (url, got.stderr)


def test_packets_between_nodes_travel_in_vxlan(site: Site) -> None:
    links = site.members["agent-0"].node.host.exec(["ip", "-details", "link", "show", "flannel.1"]).stdout
    assert "vxlan id 1 " in links
    routes = site.members["agent-0"].node.host.exec(["ip", "route"]).stdout
    assert "dev flannel.1" in routes


def test_pods_of_the_agent_use_the_api(site: Site) -> None:
    answer = site.namespace.exec(
        "client-agent-0", "sh", "-c", "echo | timeout 5 nc kubernetes.default.svc.cluster.local 443; echo $?"
    )
    assert answer.stdout.strip().endswith("0"), answer.stdout + answer.stderr
