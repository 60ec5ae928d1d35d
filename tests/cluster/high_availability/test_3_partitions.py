"""A divided network: who is in the minority waits, and is back soon after it heals."""

from __future__ import annotations

import time

import pytest

from tests.cluster.eventually import eventually
from tests.cluster.members import Members

pytestmark = pytest.mark.long

HEALED_SECONDS = 30.0
NOT_READY_SECONDS = 90.0
"""The controller manager takes 40 to 50 s to miss a node; elections come before that."""


def _heals(members: Members, name: str, by: str) -> None:
    started = time.monotonic()
    members.until_node_ready(name, HEALED_SECONDS, by=by)
    print(f"{name} is Ready {time.monotonic() - started:.1f} s after the network healed")


@pytest.mark.parametrize("who", ["leader", "follower"])
def test_a_server_in_the_minority(whole: Members, who: str) -> None:
    leader = whole.etcd_leader()
    followers = [server for server in whole.servers if server is not leader]
    lone = leader if who == "leader" else followers[0]
    name, by = lone.node.host.name, followers[-1].node.host.name
    whole.lab.partition([name])
    whole.until_missed(name, NOT_READY_SECONDS, by=by)
    assert whole.ready("agent-0", by=by)
    assert lone.running
    assert lone.report()[1]["ready"] is False, "it knows that it is alone"
    whole.lab.unite()
    _heals(whole, name, by)


def test_an_agent_cut_off(whole: Members) -> None:
    whole["agent-0"].node.host.cut()
    whole.until_missed("agent-0", NOT_READY_SECONDS)
    whole["agent-0"].node.host.heal()
    _heals(whole, "agent-0", "server-0")


def test_no_server_has_a_majority(whole: Members) -> None:
    whole.lab.partition(["server-0"], ["server-1"], ["server-2"])
    eventually(lambda: whole.kubectl("get", "node", "agent-0") == "", "nothing is answered", 60)
    time.sleep(20)
    assert [member for member in whole if not member.running] == []
    whole.lab.unite()
    eventually(lambda: whole.kubectl("get", "node", "agent-0"), "the API answers again", 60)
    for member in whole:
        whole.until_node_ready(member.node.host.name, 60)
