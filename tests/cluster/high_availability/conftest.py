from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2_lab.lab import Lab
from tests.cluster.eventually import eventually
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.members import Members


@pytest.fixture(scope="package")
def servers(lab: Lab, workload_archive: Path) -> Iterator[Members]:
    """Three servers and an agent that were started at the same moment, in a lab of their own."""
    with gone_afterwards(new_lab(lab.state_dir, f"{lab.name}ha")) as own:
        members = Members(own, workload_archive)
        placed = [members.place(f"server-{number}", "server") for number in range(3)]
        members.boot(*placed, members.place("agent-0", "agent"))
        yield members


@pytest.fixture
def whole(servers: Members) -> Iterator[Members]:
    """The cluster with all nodes Ready and all three servers voting; afterwards no network is divided any more.

    Whatever a test does, no rke2 process ends but those it ends itself.
    """
    for member in servers:
        if not member.node.host.running:  # a test that failed left it switched off
            member.node.host.start()
            member.start()
    servers.lab.unite()
    for name in [member.node.host.name for member in servers]:
        servers.until_node_ready(name)
    eventually(servers.voters, "three members vote", 120, ok=lambda names: len(names) == 3)
    yield servers
    servers.lab.unite()
    for member in servers:
        if member.node.host.running:
            member.node.host.thaw()
        assert member.running, f"rke2 on {member.node.host.name} has ended"
        assert "Traceback" not in member.node.log.read_text(errors="replace")
