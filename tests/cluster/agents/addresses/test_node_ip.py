"""Machines with two network cards: traffic of pods takes the one that `node-ip` is on, also when that changes."""

from __future__ import annotations

import json
from functools import partial

import pytest

from tests.cluster.agents.addresses.conftest import ADDRESSES, CARD, URL
from tests.cluster.agents.cni.site import NODES, OTHER, Site
from tests.cluster.eventually import eventually
from tests.cluster.members import Members

pytestmark = pytest.mark.long

MOVED = "10.77.0.21"
ANNOUNCED = "flannel.alpha.coreos.com/public-ip"
FOLLOWED_SECONDS = 120.0
"""Far above two looks at the Node and the start of a container."""


def announced(members: Members, node: str) -> tuple[str, str]:
    """Where flannel tells the other nodes that `node` is."""
    found = json.loads(members.kubectl("get", "node", node, "--output", "json"))["metadata"]["annotations"]
    return found[ANNOUNCED], found[f"{ANNOUNCED}v6"]


@pytest.mark.parametrize("node", NODES)
def test_the_cards_of_node_ip_carry_the_pods(members: Members, site: Site, node: str) -> None:
    assert announced(members, node) == ADDRESSES[node]
    # Without the first card, by which the default route goes.
    host = members[OTHER[node]].node.host
    host.cut()
    try:
        for version in (4, 6):
            url = site.url(f"web-{OTHER[node]}", version)
            assert site.fetch(f"client-{node}", url) == f"web-{OTHER[node]}"
            site.large_passes(node, version)
    finally:
        host.heal()


def test_an_agent_that_comes_back_with_another_ipv4_alone_is_found(members: Members, site: Site) -> None:
    """Its containers go on running; the other node has to learn of the one family that changed."""
    agent = members["agent-0"]
    before, six = ADDRESSES["agent-0"]
    assert agent.terminate() == 0
    for change in (["del", f"{before}/24"], ["add", f"{MOVED}/24"]):
        agent.node.host.exec(["ip", "addr", *change, "dev", CARD], check=True)
    members.set("agent-0", node_ip=f"{MOVED},{six}", server=URL)
    agent.start()
    eventually(
        partial(announced, members, "agent-0"),
        "the new address is told",
        FOLLOWED_SECONDS,
        ok=(MOVED, six).__eq__,
    )
    for node in NODES:
        for version in (4, 6):
            target = f"web-{OTHER[node]}"
            fetch = partial(site.fetch, f"client-{node}", site.url(target, version))
            eventually(fetch, f"{target} answers {node} by IPv{version}", 60, ok=target.__eq__)
