"""The cluster's DNS is sized by the packaged autoscaler, with parameters that can be changed while it runs."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from rke2_lab.node import LabNode
from tests.cluster.eventually import eventually
from tests.cluster.namespace import Namespace

COREDNS = "rke2-coredns-rke2-coredns"
AUTOSCALER = f"{COREDNS}-autoscaler"
SCALED_SECONDS = 60
"""The autoscaler looks every 10 s."""


class Scaling:
    """The autoscaler's parameters, and what comes of them."""

    def __init__(self, system: Namespace) -> None:
        self._system = system
        self.chosen: str = system.find("configmap", AUTOSCALER)["data"]["linear"]

    def choose(self, parameters: str) -> None:
        """Write parameters as an operator would."""
        patch = json.dumps({"data": {"linear": parameters}})
        self._system.kubectl("patch", "configmap", AUTOSCALER, "--type=merge", f"--patch={patch}")

    def replicas(self) -> int:
        """How many CoreDNS is to have."""
        return int(self._system.find("deployment", COREDNS)["spec"]["replicas"])

    def until(self, replicas: int) -> None:
        """Wait until it is to have so many."""
        eventually(self.replicas, f"{replicas} replicas", SCALED_SECONDS, ok=replicas.__eq__)

    def log(self) -> str:
        """What the autoscaler has said."""
        return self._system.kubectl("logs", f"deployment/{AUTOSCALER}")


@pytest.fixture
def scaling(cluster: LabNode) -> Iterator[Scaling]:
    made = Scaling(Namespace(cluster, "kube-system"))
    yield made
    made.choose(made.chosen)
    made.until(1)


def test_replicas_follow_the_parameters(scaling: Scaling) -> None:
    assert scaling.replicas() == 1, "one node, so one replica"
    scaling.choose('{"nodesPerReplica": 0.5}')
    scaling.until(2)


@pytest.mark.long
def test_parameters_that_cannot_be_used_are_told_and_change_nothing(scaling: Scaling) -> None:
    scaling.choose('{"nodesPerReplica": 0.5}')
    scaling.until(2)
    scaling.choose('{"nodesPerReplica": -1}')
    told = f"configmap {AUTOSCALER}: linear: "
    eventually(scaling.log, "the fault is told", SCALED_SECONDS, ok=lambda log: told in log)
    assert scaling.replicas() == 2
