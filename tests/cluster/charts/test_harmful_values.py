"""A HelmChartConfig that makes no sense, for each packaged chart: told with its reason, and nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from rke2_lab.node import LabNode
from tests.cluster.charts.packing import helm_chart_config
from tests.cluster.eventually import eventually
from tests.cluster.manifest_files import Manifests
from tests.cluster.namespace import Namespace

HARMFUL = {
    "rke2-canal": ("flannel: {backend: pigeon}", 'flannel.backend: "pigeon" is not one of vxlan'),
    "rke2-coredns": ("autoscaler: {max: many}", 'autoscaler.max: "many" is not a number'),
    "rke2-ingress-nginx": ("controller: {config: [1, 2]}", "controller.config must be a map"),
    "rke2-metrics-server": ("tls: {type: helm}", "tls.type helm is not supported"),
    "rke2-runtimeclasses": ("runtimeClasses: [{name: crun}]", "crun needs a handler"),
    "rke2-snapshot-controller": ("webhook: {enabled: true}", "webhook.enabled is not supported"),
    "rke2-snapshot-controller-crd": ("- a list", "cannot unmarshal array"),
}
"""Values, and what is said of them, of every chart of the shared server."""

TOLD_SECONDS = 120
"""All charts are changed at once, on few processors."""


@dataclass(frozen=True)
class State:
    """What the charts have made: the status of each of Helm's records, the generation of each workload."""

    records: dict[str, str]
    workloads: dict[str, int]

    @classmethod
    def of(cls, system: Namespace) -> State:
        records = [each["metadata"] for each in system.list("secrets", "--selector", "owner=helm")]
        workloads = [each["metadata"] for each in system.list("deployments,daemonsets")]
        return cls(
            {each["name"]: each["labels"]["status"] for each in records},
            {each["name"]: each["generation"] for each in workloads},
        )


@dataclass(frozen=True)
class Harm:
    """The state before all charts got `HARMFUL` values."""

    manifests: Manifests
    before: State

    def undo(self) -> None:
        """Take the values away and wait until every chart is installed again."""
        self.manifests.remove_all()
        eventually(self._missing, "all charts are installed again", 180, ok=set().__eq__)

    def _missing(self) -> set[str]:
        jobs = self.manifests.system.list("jobs")
        done = {job["metadata"]["name"] for job in jobs if job["status"].get("succeeded")}
        return {chart for chart in HARMFUL if f"helm-install-{chart}" not in done}


@pytest.fixture(scope="module")
def harm(cluster: LabNode) -> Iterator[Harm]:
    manifests = Manifests(cluster)
    made = Harm(manifests, State.of(manifests.system))
    for chart, (values, _) in HARMFUL.items():
        manifests.put(f"{chart}-config.yaml", helm_chart_config(chart, values))
    yield made
    made.undo()


def test_every_installed_chart_is_in_the_table(harm: Harm) -> None:
    assert {chart["metadata"]["name"] for chart in harm.manifests.system.list("helmcharts")} == HARMFUL.keys()


@pytest.mark.parametrize("chart", HARMFUL)
def test_values_that_make_no_sense_are_told_and_change_nothing(chart: str, harm: Harm) -> None:
    _, message = HARMFUL[chart]
    assert message in harm.manifests.event("HelmChart", chart, "HelmFailed", TOLD_SECONDS)
    assert State.of(harm.manifests.system) == harm.before
