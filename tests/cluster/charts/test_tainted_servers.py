"""A cluster whose every server is tainted installs its charts, and nothing is left of their jobs' rights."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.cluster.charts.packing import helm_chart
from tests.cluster.eventually import eventually
from tests.cluster.manifest_files import Manifests
from tests.cluster.nodes import BOOT_SECONDS, place_server

CONFIG = "node-taint: ['CriticalAddonsOnly=true:NoExecute', 'dedicated=control-plane:NoSchedule']\n"
CHARTS = {"rke2-canal", "rke2-coredns", "rke2-metrics-server", "rke2-runtimeclasses"}


@pytest.fixture(scope="module")
def tainted(lab: Lab) -> Iterator[LabNode]:
    """A started server; CoreDNS and its kind find no node and stay Pending, as in RKE2."""
    node = place_server(lab, "tainted-0", config=CONFIG)
    node.start()
    yield node
    # Else it would run beside all tests that follow.
    lab.remove_host("tainted-0")


def done(manifests: Manifests) -> set[str]:
    """The charts whose jobs are complete."""
    jobs = manifests.system.attempt(
        "get", "jobs", "--output", "name", "--field-selector", "status.successful=1"
    )
    return {name.removeprefix("job.batch/helm-install-") for name in jobs.stdout.split()}


def test_all_charts_are_installed(tainted: LabNode) -> None:
    manifests = Manifests(tainted)
    eventually(lambda: done(manifests), "every chart is installed", BOOT_SECONDS, ok=CHARTS.__eq__)


def test_nothing_is_left_of_the_jobs_rights(tainted: LabNode) -> None:
    system = Manifests(tainted).system

    def left() -> list[str]:
        pods = system.list("pods", "--selector", "helmcharts.helm.cattle.io/chart")
        bindings = system.list("clusterrolebindings", "--selector", "objectset.rio.cattle.io/hash")
        accounts = system.list("serviceaccounts", "--selector", "objectset.rio.cattle.io/hash")
        return [each["metadata"]["name"] for each in (*pods, *bindings, *accounts)]

    eventually(left, "pods, bindings and accounts of the jobs are gone", 60, ok=[].__eq__)


def test_a_server_that_is_tainted_again_installs_more(tainted: LabNode) -> None:
    manifests = Manifests(tainted)
    manifests.system.kubectl("taint", "node", tainted.host.name, "another=reason:NoSchedule")
    manifests.put("painted.yaml", helm_chart("painted", "default"))
    eventually(lambda: "painted" in done(manifests), "the chart is installed", 90)
    manifests.remove_all()
