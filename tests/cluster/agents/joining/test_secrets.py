"""Each kind of secret joins an agent; a wrong one is refused, and the agent says why."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from rke2.config.paths import Paths
from tests.cluster.agents.joining.conftest import Candidate
from tests.cluster.members import AGENT_TOKEN, Members
from tests.cluster.objects import Object
from tests.cluster.passwords import delete_password

Make = Callable[..., Candidate]
PATHS = Paths()
NODE_PASSWORD = PATHS.node_config_dir / "password"


def _full_token(pair: Members, file: str = "agent-token") -> str:
    return pair["server-0"].node.host.path(PATHS.server / file).read_text().strip()


def _hash(pair: Members) -> str:
    return _full_token(pair).removeprefix("K10").partition("::")[0]


def _bootstrap_token(pair: Members, identity: str, expires: timedelta) -> str:
    secret = "0123456789abcdef"
    data = {
        "token-id": identity,
        "token-secret": secret,
        "usage-bootstrap-authentication": "true",
        "expiration": (datetime.now(UTC) + expires).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "auth-extra-groups": "system:bootstrappers:rke2:default-node-token",
    }
    made: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "bootstrap.kubernetes.io/token",
        "metadata": {"name": f"bootstrap-token-{identity}", "namespace": "kube-system"},
        "stringData": data,
    }
    host = pair["server-0"].node.host
    host.exec(["kubectl", "create", "--filename", "-"], input=json.dumps(made), check=True, timeout=60)
    return f"{identity}.{secret}"


# --- taken in --------------------------------------------------------------------------------------
def test_the_short_agent_token(pair: Members) -> None:
    """It is what ``agent-0`` has."""
    assert _full_token(pair).endswith(f"::node:{AGENT_TOKEN}")
    assert pair.ready("agent-0")


def test_the_full_agent_token(pair: Members, candidate: Make) -> None:
    candidate(token=_full_token(pair)).is_taken_in()


def test_a_bootstrap_token_with_the_hash_of_the_ca(pair: Members, candidate: Make) -> None:
    token = _bootstrap_token(pair, f"aa{os.getpid() % 10000:04}", timedelta(hours=1))
    candidate(token=f"K10{_hash(pair)}::{token}").is_taken_in()


def test_a_bootstrap_token_alone(pair: Members, candidate: Make) -> None:
    candidate(token=_bootstrap_token(pair, f"bb{os.getpid() % 10000:04}", timedelta(hours=1))).is_taken_in()


def test_a_server_by_its_name(pair: Members, candidate: Make) -> None:
    candidate(token=AGENT_TOKEN, server="https://server-0:9345").is_taken_in()


# --- refused ---------------------------------------------------------------------------------------
def test_a_wrong_token(candidate: Make) -> None:
    candidate(token="not-it").is_refused("token")


def test_the_servers_token_when_agents_have_their_own(pair: Members, candidate: Make) -> None:
    candidate(token=pair.lab.token).is_refused("token")


def test_a_wrong_hash_of_the_ca(pair: Members, candidate: Make) -> None:
    token = f"K10{'0' * 64}::node:{AGENT_TOKEN}"
    candidate(token=token).is_refused("token CA hash does not match", "0" * 64, _hash(pair))


def test_an_expired_bootstrap_token(pair: Members, candidate: Make) -> None:
    candidate(token=_bootstrap_token(pair, f"cc{os.getpid() % 10000:04}", timedelta(hours=-1))).is_refused(
        "token"
    )


def test_a_bootstrap_token_nobody_made(candidate: Make) -> None:
    candidate(token="dddddd.0123456789abcdef").is_refused("token")


def test_no_server_there(pair: Members, candidate: Make) -> None:
    one = candidate(token=AGENT_TOKEN, server=f"https://{pair['agent-0'].node.host.address}:9345")
    one.is_refused(f"{pair['agent-0'].node.host.address}:9345")
    assert one.agent.running, "a server that is not there yet is waited for"


# --- the same name twice ---------------------------------------------------------------------------
def test_a_second_host_with_the_name_of_a_node_is_refused(pair: Members, candidate: Make) -> None:
    """Its node password is not the one that the cluster knows."""
    one = candidate("impostor", token=AGENT_TOKEN, node_name="agent-0")
    one.is_refused("agent-0", "node password")
    assert pair.ready("agent-0")


def test_a_copied_node_password_of_another_node_does_not_help(pair: Members, candidate: Make) -> None:
    password = pair["server-0"].node.host.path(NODE_PASSWORD).read_text()
    one = candidate("replayer", token="not-yet")
    one.end()
    one.agent.node.host.write_file(NODE_PASSWORD, password)
    pair.set("replayer", token=AGENT_TOKEN, node_name="agent-0")
    one.attempt()
    one.is_refused("agent-0", "node password")


def test_a_node_that_lost_its_disk_joins_again_after_it_was_deleted(pair: Members, candidate: Make) -> None:
    first = candidate("lost", token=AGENT_TOKEN)
    first.is_taken_in()
    first.end()
    first.agent.node.host.path(NODE_PASSWORD).unlink()
    first.agent.node.host.path(PATHS.agent / "client-kubelet.crt").unlink()
    first.attempt()
    first.is_refused("lost", "node password")
    first.end()
    delete_password(pair, "lost")
    pair.kubectl("delete", "node", "lost", "--ignore-not-found")
    first.attempt()
    first.is_taken_in()
