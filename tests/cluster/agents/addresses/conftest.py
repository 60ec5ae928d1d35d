from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2.config.model import SUPERVISOR_PORT
from rke2_lab.lab import Lab
from tests.cluster.agents.cni.site import Site
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.members import Members

CARD = "eth1"
ADDRESSES = {"server-0": ("10.77.0.10", "fd77::a"), "agent-0": ("10.77.0.11", "fd77::b")}
URL = f"https://{ADDRESSES['server-0'][0]}:{SUPERVISOR_PORT}"
DOMAIN = "corp.example"
SETTINGS = f"""
cluster-cidr: 10.42.0.0/16,fd42::/56
service-cidr: 10.43.0.0/16,fd43::/112
cluster-domain: {DOMAIN}
"""


@pytest.fixture(scope="package")
def members(lab: Lab, workload_archive: Path) -> Iterator[Members]:
    """A server and an agent of both families: `node-ip` is on the second card, the default route on the first."""
    with gone_afterwards(new_lab(lab.state_dir, f"{lab.name}cards")) as own:
        made = Members(own, workload_archive)
        placed = [
            made.place("server-0", "server", SETTINGS, node_ip=",".join(ADDRESSES["server-0"])),
            made.place("agent-0", "agent", node_ip=",".join(ADDRESSES["agent-0"]), server=URL),
        ]
        for member in placed:
            four, six = ADDRESSES[member.node.host.name]
            member.node.host.attach(CARD, f"{four}/24", f"{six}/64")
        made.boot(*placed)
        yield made


@pytest.fixture(scope="package")
def site(members: Members) -> Iterator[Site]:
    made = Site.build(members, f"cards-{os.getpid()}")
    yield made
    made.namespace.delete()
