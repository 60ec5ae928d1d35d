"""A server's data under the content of two release lines: Kubernetes is raised first, etcd when that is confirmed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2_lab.follow import until_ready
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.nodes import make_lean
from tests.cluster.restart.server import Server

pytestmark = pytest.mark.long

BUILD = Path(__file__).resolve().parents[3] / "build"
LINES = {"1.36": BUILD / "dist", "1.37": BUILD / "v1.37/dist"}
SECONDS = 900.0
"""For a start with other images: all of them are imported, and every chart is rolled out."""
CORE = Paths().images / "rke2-images-core.linux-amd64.tar.zst"


@pytest.fixture(scope="module")
def server(lab: Lab) -> Iterator[Server]:
    """A server of the 1.36 line, running."""
    for content in LINES.values():
        if not (content / "10-images.yaml").is_file():
            pytest.skip(f"{content} is not built: make content RELEASE={content.parent.name}")
    with gone_afterwards(new_lab(lab.state_dir, f"{lab.name}hold")) as own:
        node = LabNode(own.add_host("server-0"))
        node.configure()
        made = Server(node)
        become(made, "1.36")
        make_lean(node)
        begin(made)
        yield made


def become(server: Server, line: str) -> None:
    """Exchange the content, which has the same names in every release."""
    server.node.place_content(LINES[line])


def begin(server: Server) -> None:
    server.start()
    assert server.process
    until_ready(server.node, server.process, SECONDS)


def restarted_as(server: Server, line: str) -> None:
    assert server.terminate() == 0
    become(server, line)
    begin(server)


def etcd_of(server: Server) -> str:
    """What etcd says that it is."""
    answer = server.node.host.exec(
        [server.node.host.python, "-c", _VERSION, "http://127.0.0.1:2381/version"], timeout=30
    )
    return str(json.loads(answer.stdout)["etcdserver"]) if answer.stdout else ""


_VERSION = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())"


def kubelet_of(server: Server) -> str:
    return server.node.kubectl(
        "get", "nodes", "-o", "jsonpath={.items[0].status.nodeInfo.kubeletVersion}"
    ).stdout


def test_1_etcd_stays_when_kubernetes_is_raised(server: Server) -> None:
    assert etcd_of(server).startswith("3.6.")
    restarted_as(server, "1.37")
    assert kubelet_of(server).startswith("v1.37.")
    assert etcd_of(server).startswith("3.6.")
    assert server.status().etcd_held.startswith("3.6.")
    told = server.node.rke2("status").stdout
    assert f'etcd v{server.status().etcd_held} held until "rke2 upgrade finish"' in told


def test_2_the_former_release_takes_the_data_back(server: Server) -> None:
    restarted_as(server, "1.36")
    assert kubelet_of(server).startswith("v1.36.")
    assert server.status().etcd_held == ""
    restarted_as(server, "1.37")
    assert etcd_of(server).startswith("3.6.")


def test_3_a_missing_image_is_told_before_anything_is_touched(server: Server) -> None:
    """Nothing on this host has a registry, and the archive of the release before was written over."""
    before = server.pids("etcd")
    image = f"docker.io/rke2py/hardened-etcd:v{server.status().etcd_held}"
    # The store alone: the running container keeps its files.
    server.node.rke2("ctr", "-n", "k8s.io", "images", "rm", image)
    assert server.terminate() == 0
    server.start()
    assert server.wait() == 1
    error = server.status().error
    assert "which has last run the data of this server, is not on this node" in error
    assert "nothing was touched" in error
    assert server.pids("etcd") == before
    other = Paths().images / "former-core.tar.zst"
    server.node.host.place_file(LINES["1.36"] / CORE.name, other)
    begin(server)
    assert etcd_of(server).startswith("3.6.")
