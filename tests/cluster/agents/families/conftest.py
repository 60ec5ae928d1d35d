from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rke2.lab.lab import Lab
from tests.cluster.agents.cni.site import NODES, Site
from tests.cluster.labs import gone_afterwards
from tests.cluster.members import Members
from tests.cluster.objects import service

FAMILY = {4: "IPv4", 6: "IPv6"}


@dataclass(frozen=True)
class Families:
    """The address families of a cluster.

    Args:
        versions: in the cluster's order.
        settings: the server's configuration.
        server: URL by which the agent joins.
    """

    name: str
    versions: tuple[int, ...]
    settings: str
    server: str


ROWS = (
    Families(
        "dual",
        (4, 6),
        "cluster-cidr: 10.42.0.0/16,fd42::/56\nservice-cidr: 10.43.0.0/16,fd43::/112\n",
        "https://10.89.0.10:9345",
    ),
    Families(
        "six",
        (6,),
        "cluster-cidr: fd42::/56\nservice-cidr: fd43::/112\n",
        "https://[fd89::a]:9345",
    ),
    Families(
        "sixfirst",
        (6, 4),
        "cluster-cidr: fd42::/56,10.42.0.0/16\nservice-cidr: fd43::/112,10.43.0.0/16\n",
        "https://[fd89::a]:9345",
    ),
)


@pytest.fixture(scope="package", params=[pytest.param(row, id=row.name) for row in ROWS])
def families(request: pytest.FixtureRequest) -> Families:
    row: Families = request.param
    return row


@pytest.fixture(scope="package")
def members(families: Families, lab: Lab, workload_archive: Path) -> Iterator[Members]:
    """A server and an agent whose hosts have addresses of both families; neither has `node-ip` in its configuration."""
    with gone_afterwards(Lab(lab.state_dir, f"{lab.name}{families.name}")) as own:
        made = Members(own, workload_archive)
        server = made.place("server-0", "server", families.settings)
        made.boot(server, made.place("agent-0", "agent", server=families.server))
        yield made


@pytest.fixture(scope="package")
def site(families: Families, members: Members) -> Iterator[Site]:
    """Servers and clients on both nodes; services ``web4-<node>`` and ``web6-<node>`` with one family each."""
    made = Site.build(members, f"families-{os.getpid()}")
    for version in families.versions:
        for node in NODES:
            one = {"ipFamilyPolicy": "SingleStack", "ipFamilies": [FAMILY[version]], "type": "NodePort"}
            made.namespace.apply(service(f"web{version}-{node}", f"web-{node}", **one))
    yield made
    made.namespace.delete()
