from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2.config.cni import DEFAULT
from rke2_lab.lab import Lab
from tests.cluster.agents.cni.networks import NETWORKS, Network
from tests.cluster.agents.cni.site import Site
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.members import Members

_ROWS = [
    pytest.param(row, id=row.name, marks=() if row.name == DEFAULT.name else pytest.mark.long)
    for row in NETWORKS
]


@pytest.fixture(scope="package", params=_ROWS)
def network(request: pytest.FixtureRequest) -> Network:
    """One CNI plugin after the other."""
    row: Network = request.param
    return row


@pytest.fixture(scope="package")
def members(
    network: Network, request: pytest.FixtureRequest, lab: Lab, workload_archive: Path
) -> Iterator[Members]:
    """A server and an agent with the CNI plugin: those of the other tests of agents if it is the default."""
    if network.name == DEFAULT.name:
        yield request.getfixturevalue("pair")
        return
    with gone_afterwards(new_lab(lab.state_dir, f"{lab.name}{network.name}")) as own:
        made = Members(own, workload_archive, network.name)
        made.boot(made.place("server-0", "server"), made.place("agent-0", "agent"))
        yield made


@pytest.fixture(scope="package")
def site(members: Members) -> Iterator[Site]:
    """Servers and clients on both nodes."""
    made = Site.build(members, f"across-{os.getpid()}")
    yield made
    made.namespace.delete()
