"""Fixtures: a real control plane with the garbage collector, and etcd members to be managed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from rke2.config.model import NodeConfig
from rke2.kube.client import Client
from rke2.kube.objects import name_of
from rke2.kube.resources import NODES
from tests.binaries import binary
from tests.configs import paths_under, server_config
from tests.control_plane import ControlPlane, with_controllers

from .etcd_cluster import EtcdCluster, etcd_cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    for name in ("etcd", "etcdctl", "kube-apiserver", "kube-controller-manager", "kubectl"):
        binary(name)
    with with_controllers(tmp_path_factory.mktemp("controllers"), "garbage-collector-controller") as running:
        yield running


@pytest.fixture
async def client(cluster: ControlPlane) -> AsyncIterator[Client]:
    """A client inside the network; Nodes do not outlive the test."""
    with cluster.isolated.entered():
        async with Client(cluster.kubeconfig, "test", "node1") as made:
            yield made
            for node in (await made.list(NODES)).items:
                await made.patch(NODES, name_of(node), {"metadata": {"finalizers": None}})
                await made.delete(NODES, name_of(node))


@pytest.fixture
def three(cluster: ControlPlane, tmp_path: Path) -> Iterator[EtcdCluster]:
    with etcd_cluster(cluster, tmp_path, 3) as made:
        yield made


@pytest.fixture
def alone(cluster: ControlPlane, tmp_path: Path) -> Iterator[EtcdCluster]:
    with etcd_cluster(cluster, tmp_path, 1) as made:
        yield made


@pytest.fixture
def config(tmp_path: Path) -> NodeConfig:
    """The server ``node1``, with the manifests of its control plane."""
    made = server_config(paths_under(tmp_path / "host"), node={"ips": ("127.0.1.1",)})
    made.paths.pod_manifests.mkdir(parents=True)
    for name in ("etcd", "kube-apiserver", "kube-proxy"):
        made.paths.pod_manifest(name).write_text("{}")
    return made
