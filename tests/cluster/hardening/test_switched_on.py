"""``profile: cis`` is switched on for a server that runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2_lab.lab import Lab
from tests.cluster.hardening.hosts import UID, prepared
from tests.cluster.namespace import Namespace
from tests.cluster.nodes import place_server
from tests.cluster.restart.server import Server

pytestmark = pytest.mark.long

PATHS = Paths()
HOST = "switched"
STATIC = ("etcd-", "kube-")


def pods_of(server: Server) -> dict[str, str]:
    """Name -> uid of the pods that are no static ones."""
    pods = Namespace(server.node, "kube-system").list("pod")
    return {
        each["metadata"]["name"]: each["metadata"]["uid"]
        for each in pods
        if each["status"]["phase"] == "Running" and not each["metadata"]["name"].startswith(STATIC)
    }


@pytest.fixture(scope="module")
def plain(lab: Lab, workload_archive: Path) -> Iterator[Server]:
    server = Server(place_server(lab, HOST, workload_archive))
    server.start()
    server.until_ready()
    yield server
    lab.remove_host(HOST)


def test_it_is_on_after_a_restart_and_pods_go_on(plain: Server) -> None:
    before = pods_of(plain)
    assert before
    plain.terminate()
    prepared(plain)
    plain.node.host.write_file(PATHS.config_dir / "config.yaml", "profile: cis\n")
    plain.start()
    plain.until_ready()
    assert before.items() <= pods_of(plain).items()
    data = plain.node.host.path(PATHS.etcd)
    assert {path.stat().st_uid for path in (data, *data.rglob("*"))} == {UID}
    [pid] = plain.pids("etcd")
    assert plain.node.host.path(f"/proc/{pid}").stat().st_uid == UID
    refused = Namespace.create(plain.node, "restricted").attempt("run", "plain", "--image=busybox")
    assert 'violates PodSecurity "restricted:latest"' in refused.stderr


def test_it_is_off_again_after_a_restart_without_it(plain: Server) -> None:
    plain.terminate()
    plain.node.host.write_file(PATHS.config_dir / "config.yaml", "{}\n")
    plain.start()
    plain.until_ready()
    namespace = Namespace.create(plain.node, "free")
    assert namespace.attempt("run", "plain", "--image=busybox").returncode == 0
