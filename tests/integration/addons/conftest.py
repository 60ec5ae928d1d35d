"""Fixtures: one real control plane with the Job controller, and a client inside its network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from rke2.addons.start import prepare
from rke2.kube.client import Client
from tests.binaries import binary
from tests.control_plane import ControlPlane, control_plane

CONTROLLERS = (
    "job-controller,serviceaccount-controller,namespace-controller,garbage-collector-controller,"
    "pod-garbage-collector-controller"
)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl"):
        binary(name)
    with control_plane(tmp_path_factory.mktemp("addons")) as running:
        running.start_controller_manager(CONTROLLERS)
        with running.isolated.entered():
            asyncio.run(_prepare(running))
        yield running
        running.stop("kube-controller-manager")  # its watches would hold up the end of the API server


async def _prepare(cluster: ControlPlane) -> None:
    async with Client(cluster.kubeconfig, "test") as client, asyncio.timeout(30):
        await prepare(client)


@pytest.fixture
async def client(cluster: ControlPlane) -> AsyncIterator[Client]:
    with cluster.isolated.entered():
        async with Client(cluster.kubeconfig, "test", "node1") as made:
            yield made
