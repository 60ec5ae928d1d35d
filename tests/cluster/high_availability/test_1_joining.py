"""Three servers and an agent that were started at the same moment are one cluster."""

from __future__ import annotations

import json
from functools import partial

from rke2.config.paths import Paths
from tests.cluster.eventually import eventually
from tests.cluster.members import Members
from tests.cluster.passwords import keeps_its_password

PATHS = Paths()


def test_all_servers_vote(whole: Members) -> None:
    for server in whole.servers:
        name = server.node.host.name
        assert whole.voters(name) == {"server-0", "server-1", "server-2"}
        assert whole.ready(name, by=name)


def test_every_server_has_the_same_authorities_and_secrets(whole: Members) -> None:
    for path in (
        "tls/server-ca.key",
        "tls/client-ca.crt",
        "tls/etcd/peer-ca.key",
        "tls/service.key",
        "cred/passwd",
    ):
        contents = {server.node.host.path(PATHS.server / path).read_bytes() for server in whole.servers}
        assert len(contents) == 1, path


def test_every_node_has_a_password_of_its_own(whole: Members) -> None:
    """Also servers, which sign for themselves: else their names would go to whoever asks first."""
    for member in whole:
        assert keeps_its_password(whole, member.node.host.name)


def test_the_agent_knows_all_servers(whole: Members) -> None:
    state = whole["agent-0"].node.host.path(PATHS.agent_etc / "rke2-agent-load-balancer.json")
    expected = {f"{server.node.host.address}:9345" for server in whole.servers}
    eventually(
        lambda: set(json.loads(state.read_text())["ServerAddresses"]), "it knows them", 30, ok=expected.__eq__
    )


def test_every_server_reaches_the_agents_kubelet(whole: Members) -> None:
    for server in whole.servers:
        ask = partial(whole.ask_kubelet, "agent-0", by=server.node.host.name)
        eventually(ask, "it answers", 60, ok="ok".__eq__)
