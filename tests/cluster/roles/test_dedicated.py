"""A server with the datastore only, one with the control plane only, and an agent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2_lab.lab import Lab
from tests.cluster.eventually import eventually
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.members import Members
from tests.cluster.passwords import keeps_its_password
from tests.cluster.restart.containers import running_containers

pytestmark = pytest.mark.long

ETCD_ONLY = """
disable-apiserver: true
disable-controller-manager: true
disable-scheduler: true
"""
CONTROL_PLANE_ONLY = "disable-etcd: true\n"


@pytest.fixture(scope="module")
def dedicated(lab: Lab, workload_archive: Path) -> Iterator[Members]:
    with gone_afterwards(new_lab(lab.state_dir, f"{lab.name}roles")) as own:
        members = Members(own, workload_archive)
        datastore = members.place("server-0", "server", ETCD_ONLY)
        control_plane = members.place("server-1", "server", CONTROL_PLANE_ONLY)
        members.boot(datastore, control_plane, members.place("agent-0", "agent"))
        yield members


def _static_pods(members: Members, name: str) -> set[str]:
    return {container.name for container in running_containers(members[name].node)} & {
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kube-proxy",
    }


def test_each_server_runs_what_it_is_for(dedicated: Members) -> None:
    assert _static_pods(dedicated, "server-0") == {"etcd", "kube-proxy"}
    control_plane = {"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"}
    assert _static_pods(dedicated, "server-1") == control_plane


def test_each_server_shows_where_it_finds_what_it_does_not_run(dedicated: Members) -> None:
    datastore, control_plane = dedicated["server-0"], dedicated["server-1"]
    for server, balancer, address in (
        (control_plane, "rke2-etcd-server-load-balancer", f"{datastore.node.host.address}:2379"),
        (datastore, "rke2-api-server-agent-load-balancer", f"{control_plane.node.host.address}:6443"),
    ):
        shown = server.status().connections.load_balancers[balancer]
        assert {each.address: each.state for each in shown}.get(address) == "ACTIVE", shown
        assert address in server.node.host.exec(["rke2", "status"], timeout=60).stdout


def test_each_node_has_a_password_of_its_own(dedicated: Members) -> None:
    """Also the server that reaches the API through another one."""
    for name in ("server-0", "server-1", "agent-0"):
        assert keeps_its_password(dedicated, name, by="server-1")


def test_labels_and_taints_tell_the_roles(dedicated: Members) -> None:
    nodes = json.loads(dedicated.kubectl("get", "nodes", "--output", "json", by="server-1"))["items"]
    roles = {
        node["metadata"]["name"]: {
            label.rpartition("/")[2]
            for label in node["metadata"]["labels"]
            if label.startswith("node-role.kubernetes.io/")
        }
        for node in nodes
    }
    assert roles == {"server-0": {"etcd"}, "server-1": {"control-plane"}, "agent-0": set()}
    for name in roles:
        assert dedicated.ready(name, by="server-1")


def test_the_datastore_restarts_and_is_found_again(dedicated: Members) -> None:
    assert dedicated["server-0"].terminate() == 0
    dedicated["server-0"].start()
    dedicated.until_ready(dedicated["server-0"])
    dedicated["server-0"].node.host.stop()
    eventually(lambda: dedicated.kubectl("get", "node", "agent-0", by="server-1") == "", "no datastore", 60)
    dedicated["server-0"].node.host.start()
    dedicated["server-0"].start()
    dedicated.until_ready(dedicated["server-0"])
    for name in ("server-0", "server-1", "agent-0"):
        dedicated.until_node_ready(name, by="server-1")
    assert dedicated["server-1"].running


def test_the_control_plane_restarts(dedicated: Members) -> None:
    server = dedicated["server-1"]
    assert server.terminate() == 0
    server.start()
    dedicated.until_ready(server)
