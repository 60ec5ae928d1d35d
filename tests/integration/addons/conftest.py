"""Fixtures: one real control plane with the Job controller, and a client inside its network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from rke2.addons.start import prepare
from rke2.kube.client import Client
from tests.binaries import binary
from tests.control_plane import ControlPlane, with_controllers

CONTROLLERS = (
    "job-controller,serviceaccount-controller,namespace-controller,garbage-collector-controller,"
    "pod-garbage-collector-controller"
)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl"):
        binary(name)
    with with_controllers(tmp_path_factory.mktemp("addons"), CONTROLLERS, prepare, 30) as running:
        yield running


@pytest.fixture
async def client(cluster: ControlPlane) -> AsyncIterator[Client]:
    with cluster.isolated.entered():
        async with Client(cluster.kubeconfig, "test", "node1") as made:
            yield made
