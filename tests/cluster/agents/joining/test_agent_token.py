"""The agent token of a running cluster changes, goes and comes back: servers start, nodes stay, and the old one is out.

At its end all is as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from rke2.config.paths import Paths
from tests.cluster.agents.joining.conftest import Candidate
from tests.cluster.eventually import eventually
from tests.cluster.members import AGENT_TOKEN, Members
from tests.cluster.restart.containers import running_containers, static_pods_settled

Make = Callable[..., Candidate]
PATHS = Paths()
CHANGED = "agents-only-changed"


def restart(pair: Members, name: str, **settings: str) -> None:
    """Start a node again with other settings; none of its containers restarts."""
    member = pair[name]
    eventually(lambda: static_pods_settled(member.node), "no pod is about to be replaced", 120.0)
    eventually(lambda: not going_away(pair), "the pods of other tests are gone", 120.0)
    before = running_containers(member.node)
    assert member.terminate() == 0
    pair.set(name, **settings)
    member.start()
    pair.until_ready(member)
    assert running_containers(member.node) == before


def going_away(pair: Members) -> str:
    return pair.kubectl("get", "namespaces", "--field-selector=status.phase=Terminating", "--output=name")


def token(pair: Members, file: str) -> str:
    """What is in a file, not a link: those are absolute, and lead out of the host."""
    return pair["server-0"].node.host.path(PATHS.server / file).read_text().strip()


def new_log(pair: Members, name: str, since: int) -> str:
    return pair[name].node.log.read_text()[since:]


@pytest.fixture(autouse=True)
def as_it_was(pair: Members) -> Iterator[None]:
    yield
    restart(pair, "server-0", agent_token=AGENT_TOKEN)
    restart(pair, "agent-0", token=AGENT_TOKEN)


def test_it_changes_goes_and_comes_back(pair: Members, candidate: Make) -> None:
    restart(pair, "server-0", agent_token=CHANGED)
    assert token(pair, "agent-token").endswith(f"::node:{CHANGED}")
    candidate(token=AGENT_TOKEN).is_refused("token", "may have been changed", "server/agent-token")
    candidate(token=CHANGED).is_taken_in()
    assert pair.ready("agent-0")

    seen = len(pair["agent-0"].node.log.read_text())
    restart(pair, "agent-0", token=AGENT_TOKEN)
    assert pair.ready("agent-0"), "its certificate lets it in"
    said = new_log(pair, "agent-0", seen)
    assert "token is not valid any more" in said
    assert "server/agent-token" in said

    restart(pair, "server-0", agent_token="")
    made = token(pair, "agent-token")
    assert "::node:" in made
    assert CHANGED not in made
    candidate(token=CHANGED).is_refused("token")
    candidate(token=made).is_taken_in()
    candidate(token=token(pair, "token")).is_taken_in()

    restart(pair, "server-0", agent_token=AGENT_TOKEN)
    candidate(token=made).is_refused("token")
    candidate(token=token(pair, "token")).is_refused("token")
    candidate(token=token(pair, "agent-token")).is_taken_in()
    assert pair.ready("agent-0")
