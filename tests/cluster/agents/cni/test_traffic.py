"""Traffic between pods on different nodes, in a tunnel: pod to pod, by service, by name, and to and from hosts."""

from __future__ import annotations

from functools import partial

import pytest

from tests.cluster.agents.cni.networks import Network
from tests.cluster.agents.cni.site import NODES, OTHER, Site
from tests.cluster.eventually import eventually
from tests.cluster.http import get
from tests.cluster.members import Members


def test_both_nodes_are_ready_and_have_their_roles(members: Members) -> None:
    template = (
        "{range .items[*]}{.metadata.name}={.metadata.labels.node-role\\.kubernetes\\.io/control-plane} {end}"
    )
    assert members.kubectl("get", "nodes", "--output", f"jsonpath={template}").split() == [
        "agent-0=",
        "server-0=true",
    ]
    for node in NODES:
        assert members.ready(node)


@pytest.mark.parametrize("node", NODES)
def test_pods_reach_pods_of_the_other_node(site: Site, node: str) -> None:
    target = f"web-{OTHER[node]}"
    eventually(
        lambda: site.fetch(f"client-{node}", site.url(target)),
        "it answers",
        30,
        ok=target.__eq__,
    )


@pytest.mark.parametrize("node", NODES)
def test_large_answers_pass(site: Site, node: str) -> None:
    site.large_passes(node)


@pytest.mark.parametrize("node", NODES)
def test_services_answer_whichever_node_their_pods_are_on(site: Site, node: str) -> None:
    for target in NODES:
        address = site.namespace.find("service", f"web-{target}")["spec"]["clusterIP"]
        eventually(
            partial(site.fetch, f"client-{node}", address), "it answers", 30, ok=f"web-{target}".__eq__
        )


def test_the_clusters_dns_has_a_replica_on_each_node(members: Members) -> None:
    template = "{range .items[?(@.status.containerStatuses[0].ready==true)]}{.spec.nodeName} {end}"
    selection = ("--namespace", "kube-system", "--selector", "k8s-app=kube-dns")

    def running_on() -> list[str]:
        return sorted(members.kubectl("get", "pods", *selection, "--output", f"jsonpath={template}").split())

    eventually(running_on, "a second replica runs on the other node", 90, ok=sorted(NODES).__eq__)


@pytest.mark.parametrize("node", NODES)
def test_names_are_resolved_on_every_node(site: Site, node: str) -> None:
    target = f"web-{OTHER[node]}"
    assert site.fetch(f"client-{node}", target) == target
    assert site.fetch(f"client-{node}", f"{target}.{site.namespace.name}.svc.cluster.local") == target


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


def test_packets_between_nodes_travel_in_the_tunnel(site: Site, network: Network) -> None:
    host = site.members["agent-0"].node.host

    def sent() -> int:
        return int(host.exec(["cat", f"/sys/class/net/{network.link}/statistics/tx_packets"]).stdout)

    assert network.tunnel in host.exec(["ip", "-details", "link", "show", network.link]).stdout
    before = sent()
    assert site.fetch("client-agent-0", site.url("web-server-0")) == "web-server-0"
    assert sent() > before, f"the request took another way than {network.link}"


def test_pods_of_the_agent_use_the_api(site: Site) -> None:
    answer = site.namespace.exec(
        "client-agent-0", "sh", "-c", "echo | timeout 5 nc kubernetes.default.svc.cluster.local 443; echo $?"
    )
    assert answer.stdout.strip().endswith("0"), answer.stdout + answer.stderr
