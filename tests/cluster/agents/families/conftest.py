from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2.config.model import SUPERVISOR_PORT
from rke2.host.addresses import host_port
from rke2_lab.host import LabHost
from rke2_lab.lab import Lab
from tests.cluster.agents.cni.site import NODES, Site
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.members import Members
from tests.cluster.objects import service

FAMILY = {4: "IPv4", 6: "IPv6"}


Families = tuple[int, ...]
"""The address families of a cluster, 4 and 6, in its order."""

ROWS: dict[str, tuple[Families, str]] = {
    "dual": ((4, 6), "canal"),
    "six": ((6,), "canal"),
    "sixfirst": ((6, 4), "canal"),
    "dualcalico": ((4, 6), "calico"),
    "dualcilium": ((4, 6), "cilium"),
    "sixcalico": ((6,), "calico"),
    "sixcilium": ((6,), "cilium"),
}
"""Clusters, by the end of their labs' names: address families and CNI plugin."""

CLUSTER = {4: "10.42.0.0/16", 6: "fd42::/56"}
SERVICE = {4: "10.43.0.0/16", 6: "fd43::/112"}


def address_of(host: LabHost, version: int) -> str:
    return host.address if version == 4 else host.address6


@pytest.fixture(scope="package", params=ROWS)
def row(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="package")
def families(row: str) -> Families:
    return ROWS[row][0]


@pytest.fixture(scope="package")
def members(row: str, families: Families, lab: Lab, workload_archive: Path) -> Iterator[Members]:
    """A server and an agent whose hosts have addresses of both families; neither has `node-ip` in its configuration."""
    networks = {"cluster-cidr": CLUSTER, "service-cidr": SERVICE}
    settings = [f"{name}: {','.join(of[version] for version in families)}" for name, of in networks.items()]
    with gone_afterwards(new_lab(lab.state_dir, f"{lab.name}{row}")) as own:
        made = Members(own, workload_archive, ROWS[row][1])
        server = made.place("server-0", "server", "\n".join(settings))
        joined = host_port(address_of(server.node.host, families[0]), SUPERVISOR_PORT)
        made.boot(server, made.place("agent-0", "agent", server=f"https://{joined}"))
        yield made


@pytest.fixture(scope="package")
def site(families: Families, members: Members) -> Iterator[Site]:
    """Servers and clients on both nodes; services ``web4-<node>`` and ``web6-<node>`` with one family each."""
    made = Site.build(members, f"families-{os.getpid()}")
    for version in families:
        for node in NODES:
            one = {"ipFamilyPolicy": "SingleStack", "ipFamilies": [FAMILY[version]], "type": "NodePort"}
            made.namespace.apply(service(f"web{version}-{node}", f"web-{node}", **one))
    yield made
    made.namespace.delete()
