"""A node's name stays with its machine: a server's, too, and also while its Secret is missing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rke2.config.paths import Paths
from tests.cluster.agents.joining.conftest import Candidate
from tests.cluster.eventually import eventually
from tests.cluster.members import AGENT_TOKEN, Members
from tests.cluster.passwords import delete_password, keeps_its_password, password_secret, replace_password
from tests.cluster.restart.containers import running_containers
from tests.cluster.restart.server import Server

Make = Callable[..., Candidate]
PATHS = Paths()
SECONDS = 120.0


def test_every_node_has_its_secret(pair: Members) -> None:
    owner = "jsonpath={.metadata.ownerReferences[*].name}"
    for name in ("server-0", "agent-0"):
        assert keeps_its_password(pair, name)
        owners = partial(password_secret, pair, name, owner)
        eventually(owners, f"{name} owns it", SECONDS, ok=name.__eq__)


def test_a_server_of_an_earlier_release_gets_its_secret_at_its_start(pair: Members) -> None:
    """It has none, as those signed for themselves; nothing but rke2 is restarted for it."""
    server = pair["server-0"]
    before = running_containers(server.node)
    assert server.terminate() == 0
    delete_password(pair, "server-0")
    server.start()
    pair.until_ready(server)
    eventually(lambda: keeps_its_password(pair, "server-0"), "its Secret is there", SECONDS)
    assert running_containers(server.node) == before
    assert pair.ready("server-0")
    assert pair.ready("agent-0")


def test_a_server_makes_a_deleted_secret_again(pair: Members) -> None:
    delete_password(pair, "server-0")
    eventually(lambda: keeps_its_password(pair, "server-0"), "its Secret is there", SECONDS)


def test_a_server_says_that_its_name_is_taken(pair: Members) -> None:
    """And goes on to work. What it says to do about it helps."""
    server = pair["server-0"]
    assert server.terminate() == 0
    replace_password(pair, "server-0", "of another machine")
    server.start()
    pair.until_ready(server)
    complaint = "has another password than /etc/rancher/node/password"
    eventually(lambda: _says(server), "rke2 status says it", SECONDS, ok=lambda said: complaint in said)
    events = ("get", "events", "--output", "jsonpath={.items[*].message}")
    eventually(lambda: pair.kubectl(*events), "so does an event", SECONDS, ok=lambda said: complaint in said)
    assert f"node password: Secret kube-system/server-0.node-password.rke2 {complaint}" in _log(server)
    assert pair.ready("server-0")
    delete_password(pair, "server-0")
    eventually(lambda: keeps_its_password(pair, "server-0"), "its Secret is there", SECONDS)
    eventually(lambda: _says(server), "it says so no more", SECONDS, ok=lambda said: complaint not in said)


def _says(server: Server) -> str:
    return server.node.host.exec(["rke2", "status"], timeout=60).stdout


def _log(server: Server) -> str:
    return server.node.log.read_text(errors="replace")


def test_a_node_without_its_secret_is_answered_and_nobody_else(pair: Members, candidate: Make) -> None:
    """The agent asks with its token, and shows the certificate that it still has."""
    agent = pair["agent-0"]
    assert agent.terminate() == 0
    delete_password(pair, "agent-0")
    one = candidate("heir", token=AGENT_TOKEN, node_name="agent-0")
    one.is_refused("agent-0", "client certificate")
    assert not password_secret(pair, "agent-0")
    agent.node.host.path(PATHS.agent / "serving-kubelet.crt").unlink()
    agent.start()
    pair.until_ready(agent)
    assert keeps_its_password(pair, "agent-0")
    pair.until_node_ready("agent-0", SECONDS)
