"""Clusters of IPv6 alone and of both families: each family carries pods, services, names, policies and node ports."""

from __future__ import annotations

from functools import partial
from ipaddress import ip_address, ip_network

import pytest

from rke2.host.addresses import host_port
from tests.cluster.agents.cni.site import NODES, OTHER, Site
from tests.cluster.agents.families.conftest import Families, address_of
from tests.cluster.eventually import eventually
from tests.cluster.http import get
from tests.cluster.members import Members
from tests.cluster.objects import policy

pytestmark = pytest.mark.long

OUTSIDE_PORT = 8081


def versions_of(addresses: str) -> tuple[int, ...]:
    return tuple(ip_network(address).version for address in addresses.split())


@pytest.mark.parametrize("node", NODES)
def test_nodes_have_an_address_and_a_pod_network_of_each_family(
    families: Families, members: Members, node: str
) -> None:
    found = partial(members.kubectl, "get", "node", node, "--output")
    internal = found('jsonpath={.status.addresses[?(@.type=="InternalIP")].address}')
    assert versions_of(internal) == families
    assert versions_of(found("jsonpath={.spec.podCIDRs[*]}")) == families


@pytest.mark.parametrize("node", NODES)
def test_pods_reach_pods_of_the_other_node(families: Families, site: Site, node: str) -> None:
    target = f"web-{OTHER[node]}"
    for version in families:
        url = site.url(target, version)
        eventually(partial(site.fetch, f"client-{node}", url), f"{url} answers", 30, ok=target.__eq__)
        site.large_passes(node, version)


@pytest.mark.parametrize("node", NODES)
def test_services_and_their_names(families: Families, site: Site, node: str) -> None:
    for version in families:
        for target in NODES:
            name = f"web{version}-{target}"
            cluster_ip = site.namespace.find("service", name)["spec"]["clusterIP"]
            assert ip_address(cluster_ip).version == version
            for url in (host_port(cluster_ip, 80), name):
                fetch = partial(site.fetch, f"client-{node}", url)
                eventually(fetch, f"{url} answers", 30, ok=f"web-{target}".__eq__)


@pytest.mark.parametrize("node", NODES)
def test_node_ports_answer_other_hosts(families: Families, site: Site, node: str) -> None:
    target = OTHER[node]
    for version in families:
        port = site.namespace.find("service", f"web{version}-{target}")["spec"]["ports"][0]["nodePort"]
        url = host_port(address_of(site.members[target].node.host, version), port)
        got = site.members[node].node.host.exec(["busybox", *get(url)])
        assert got.stdout.strip() == f"web-{target}", (url, got.stderr)


def test_policies_hold_in_each_family(families: Families, site: Site) -> None:
    friend = {"from": [{"podSelector": {"matchLabels": {"role": "friend"}}}]}
    for version in families:
        site.allowed("stranger", "guarded", version)
    site.namespace.apply(policy("only-friends", ingress=[friend]))
    for version in families:
        site.blocked("stranger", "guarded", version)
        site.allowed("friend", "guarded", version)
    site.namespace.remove("networkpolicy", "only-friends")
    for version in families:
        site.allowed("stranger", "guarded", version)


def test_hosts_outside_see_the_nodes_address(families: Families, site: Site) -> None:
    """What leaves the pods' network is masqueraded: nobody outside has a way back to a pod."""
    outside = site.members.lab.add_host("outside")
    try:
        for version in families:
            bind, port = address_of(outside, version), OUTSIDE_PORT + version
            log = outside.path(f"/var/log/requests-{version}")
            with log.open("wb") as out:
                serve = [outside.python, "-u", "-m", "http.server", "--bind", bind, str(port)]
                server = outside.popen(serve, directory="/var", stdout=out, stderr=out)
            try:
                url = host_port(bind, port)
                fetch = partial(site.fetch, "client-agent-0", url)
                eventually(fetch, f"{url} answers", 30, ok=lambda answer: "<html" in answer.lower())
                seen = log.read_text()
                assert f"\n{address_of(site.members['agent-0'].node.host, version)} " in f"\n{seen}", seen
            finally:
                server.kill()
                server.wait()
    finally:
        site.members.lab.remove_host("outside")


def test_all_of_it_is_back_after_a_restart(members: Members) -> None:
    """The settings of the cluster are remembered then, not asked for."""
    for name in NODES:
        members[name].terminate()
        members[name].until_childless()
    members.boot(*(members[name] for name in NODES))
    eventually(partial(members.ask_kubelet, "agent-0"), "the tunnel serves", 30, ok="ok".__eq__)
