"""Fixtures: a real control plane whose controllers make pods and count disruptions, with our custom resources."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from rke2.addons.crds import ensure_crds
from rke2.addons.plan_schema import PLAN_CRD
from rke2.kube.client import Client
from rke2.kube.objects import name_of
from rke2.kube.resources import DEPLOYMENTS, NODES, PLANS
from rke2.rollout.names import NAMESPACE
from tests.binaries import binary
from tests.control_plane import ControlPlane, with_controllers
from tests.integration.controllers.etcd_cluster import EtcdCluster, etcd_cluster

CONTROLLERS = (
    "disruption-controller,replicaset-controller,serviceaccount-controller,garbage-collector-controller"
)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    for name in ("etcd", "etcdctl", "kube-apiserver", "kube-controller-manager", "kubectl"):
        binary(name)
    with with_controllers(tmp_path_factory.mktemp("rollout"), CONTROLLERS, _with_plans, 60) as running:
        yield running


async def _with_plans(client: Client) -> None:
    await ensure_crds(client, [PLAN_CRD])


@pytest.fixture
async def client(cluster: ControlPlane) -> AsyncIterator[Client]:
    """A client inside the network; Nodes, Plans and Deployments do not outlive the test."""
    with cluster.isolated.entered():
        async with Client(cluster.kubeconfig, "test", "node1") as made:
            yield made
            for resource, namespace in ((NODES, ""), (PLANS, NAMESPACE), (DEPLOYMENTS, NAMESPACE)):
                for item in (await made.list(resource, namespace)).items:
                    await made.delete(resource, name_of(item), namespace)


@pytest.fixture
def etcd(cluster: ControlPlane, tmp_path: Path) -> Iterator[EtcdCluster]:
    with etcd_cluster(cluster, tmp_path, 1) as made:
        yield made
