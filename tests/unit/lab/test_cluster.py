import json
from pathlib import Path

import pytest
import yaml

from rke2.errors import LabError
from rke2_lab.cluster import LabCluster
from rke2_lab.host import LabHost
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from rke2_lab.record import HostRecord


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A lab whose hosts do not run: what is on their disks is there."""
    made = Lab(tmp_path)
    made.directory.mkdir()
    (made.directory / "lab.json").write_text(json.dumps({"token": "secret"}))
    return made


def _host(lab: Lab, name: str) -> LabHost:
    index = len(lab.hosts())
    directory = lab.directory / "hosts" / name
    directory.mkdir(parents=True)
    HostRecord(
        "lab", name, index, f"10.89.0.{10 + index}", f"fd89::{index}", "ns", directory, lab.state_dir
    ).save()
    return lab.host(name)


def _settings(node: LabNode) -> dict[str, str]:
    file = node.host.path("/etc/rancher/rke2/config.yaml.d/10-cluster.yaml")
    settings: dict[str, str] = yaml.safe_load(file.read_text())
    return settings


def test_the_first_server_starts_the_cluster_and_all_others_join_it(lab: Lab) -> None:
    cluster = LabCluster(lab)
    first = cluster.enrol(_host(lab, "server-0"), "server")
    others = [cluster.enrol(_host(lab, "server-1"), "server"), cluster.enrol(_host(lab, "agent-0"), "agent")]
    assert _settings(first) == {"token": "secret"}
    for node in others:
        assert _settings(node) == {"server": "https://10.89.0.10:9345", "token": "secret"}
    assert [node.role for node in (first, *others)] == ["server", "server", "agent"]
    assert [node.host.name for node in cluster.nodes("server")] == ["server-0", "server-1"]


def test_the_cni_plugin_is_the_servers_setting(lab: Lab) -> None:
    cluster = LabCluster(lab)
    assert cluster.choices == {}
    server, agent = _host(lab, "server-0"), _host(lab, "agent-0")
    assert _settings(cluster.enrol(server, "server", {"cni": "none"})) == {"token": "secret", "cni": "none"}
    assert "cni" not in _settings(cluster.enrol(agent, "agent", {"cni": "none"}))
    assert cluster.choices == {"cni": "none"}


def test_hosts_without_a_role_are_no_nodes(lab: Lab) -> None:
    _host(lab, "host-0")
    assert LabCluster(lab).nodes() == []


def test_a_node_stays_what_it_is(lab: Lab) -> None:
    cluster = LabCluster(lab)
    server, agent = _host(lab, "server-0"), _host(lab, "agent-0")
    cluster.enrol(server, "server")
    cluster.enrol(agent, "agent")
    assert cluster.enrol(agent, "server").role == "agent"
    assert _settings(cluster.enrol(server, "server")) == {"token": "secret"}


def test_who_comes_after_the_first_server_was_removed_joins_another(lab: Lab) -> None:
    cluster = LabCluster(lab)
    for name in ("server-0", "server-1"):
        cluster.enrol(_host(lab, name), "server")
    (lab.directory / "hosts/server-0/host.json").unlink()
    again = _host(lab, "server-2")
    assert _settings(cluster.enrol(again, "server"))["server"] == "https://10.89.0.11:9345"


def test_a_lab_that_is_not_there_has_no_token(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no lab"):
        _ = Lab(tmp_path).token
