from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2_lab.lab import Lab
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.members import AGENT_TOKEN, Members


@pytest.fixture(scope="package")
def pair(lab: Lab, workload_archive: Path) -> Iterator[Members]:
    """A server and an agent that joined it, in a lab of their own, booted once for all tests that do not break it.

    Agents have a secret of their own there, so that what a test of joining does with one token cannot work by another.
    """
    with gone_afterwards(new_lab(lab.state_dir, f"{lab.name}pair")) as own:
        members = Members(own, workload_archive)
        server = members.place("server-0", "server", f"agent-token: {AGENT_TOKEN}\n")
        agent = members.place("agent-0", "agent", token=AGENT_TOKEN)
        members.boot(server, agent)
        yield members
