from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2_lab.lab import Lab
from tests.cluster.eventually import eventually
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.members import AGENT_TOKEN, Members
from tests.cluster.restart.server import Server
from tests.cluster.security.credentials import bootstrap_token_secret, every
from tests.cluster.security.wire import Attacker, Credential

TLS_SAN = "api.example.org"
"""A name of the cluster that its administrator has given it."""

_SERVER = f"""
agent-token: {AGENT_TOKEN}
supervisor-metrics: true
tls-san: [{TLS_SAN}, 192.0.2.77]
"""


@pytest.fixture(scope="package")
def pair(lab: Lab, workload_archive: Path) -> Iterator[Members]:
    """A server and an agent, booted once for all tests of the folder. The agent is told its token by a variable."""
    with gone_afterwards(new_lab(lab.state_dir, f"{lab.name}sec")) as own:
        members = Members(own, workload_archive)
        server = members.place("server-0", "server", _SERVER)
        agent = members.place("agent-0", "agent")
        forget_token(agent)
        server.start()
        agent.start({"RKE2_TOKEN": AGENT_TOKEN})
        members.until_ready()
        yield members


def forget_token(member: Server) -> None:
    """Take the token out of what the lab has written: it is told in another way."""
    settings = member.node.enrolled_with()
    del settings["token"]
    member.node.enrol("agent", settings)


@pytest.fixture(scope="package")
def credentials(pair: Members) -> dict[str, Credential]:
    """Each kind of credential, valid or not, by name."""
    host = pair["server-0"].node.host
    host.exec(["kubectl", "apply", "--filename", "-"], input=bootstrap_token_secret(), check=True, timeout=60)
    made = every(pair)
    attacker = Attacker(pair["agent-0"].node.host, host.address)
    token = made["bootstrap token"]
    eventually(
        lambda: attacker.one("GET /v1-rke2/readyz", token),
        "the bootstrap token is known",
        ok=lambda a: a.status == 200,
    )
    return made


@pytest.fixture(scope="package")
def attacker(pair: Members) -> Attacker:
    """Asks the server from the agent's host."""
    return Attacker(pair["agent-0"].node.host, pair["server-0"].node.host.address)
