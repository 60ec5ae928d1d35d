"""An agent that has joined starts again without any server, and goes on when one is back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rke2.config.paths import Paths
from rke2.pki.pem import read_certificates
from tests.cluster.eventually import eventually
from tests.cluster.members import AGENT_TOKEN, Members
from tests.cluster.restart.containers import running_containers, static_pods_settled
from tests.cluster.restart.expiry import expire

PATHS = Paths()
SECONDS = 120.0


def test_an_agents_containers_outlive_its_restart(pair: Members) -> None:
    agent = pair["agent-0"]
    before = running_containers(agent.node)
    assert agent.terminate() == 0
    agent.start()
    pair.until_ready(agent)
    assert running_containers(agent.node) == before


def test_an_agent_starts_while_all_servers_are_down(pair: Members) -> None:
    """Nothing of it ends, and what it ran before runs on."""
    server, agent = pair["server-0"], pair["agent-0"]
    before = running_containers(agent.node)
    assert agent.terminate() == 0
    server.node.host.stop()
    agent.start()
    eventually(lambda: agent.pids("kubelet"), "the kubelet runs without a server", SECONDS)
    assert running_containers(agent.node) == before
    server.node.host.start()
    server.start()
    pair.until_ready(server, agent)
    pair.until_node_ready("agent-0")
    assert running_containers(agent.node) == before


def test_an_agent_that_slept_past_the_end_of_its_certificates(pair: Members) -> None:
    """As if its clock had jumped by a year: the token it joined with gets it new ones."""
    server, agent = pair["server-0"].node.host, pair["agent-0"]
    agent.terminate()
    agent.until_childless()
    directory = agent.node.host.path(PATHS.agent)
    assert expire(server.path(PATHS.tls), directory, only_agent=True) >= 3
    agent.start()
    pair.until_ready(agent)
    pair.until_node_ready("agent-0")
    for name in ("client-kubelet", "serving-kubelet"):
        found = read_certificates(directory / f"{name}.crt")
        assert found is not None
        assert found.first.not_valid_after_utc > datetime.now(UTC) + timedelta(days=30)
    eventually(lambda: static_pods_settled(agent.node), "kube-proxy runs with its new certificate", SECONDS)


def test_an_agent_without_its_token_starts_with_its_certificates(pair: Members) -> None:
    agent = pair["agent-0"]
    assert agent.terminate() == 0
    pair.set("agent-0", token="forgotten")
    agent.start()
    try:
        pair.until_ready(agent)
    finally:
        agent.terminate()
        pair.set("agent-0", token=AGENT_TOKEN)
        agent.start()
        pair.until_ready(agent)


def test_a_killed_agent_leaves_its_containers_alone(pair: Members) -> None:
    agent = pair["agent-0"]
    eventually(lambda: static_pods_settled(agent.node), "no pod is about to be replaced", SECONDS)
    before = running_containers(agent.node)
    agent.kill()
    agent.until_childless()
    agent.start()
    pair.until_ready(agent)
    assert running_containers(agent.node) == before
