"""The packaged charts are the users' to change, with a HelmChartConfig as in RKE2."""

from __future__ import annotations

from rke2_lab.node import LabNode
from tests.cluster.charts.packing import helm_chart_config
from tests.cluster.eventually import eventually
from tests.cluster.manifest_files import Manifests
from tests.cluster.namespace import Namespace
from tests.cluster.objects import pod

ADDRESS = "192.0.2.53"
SERVERS = f"""
servers:
  - zones: [{{zone: .}}]
    port: 53
    plugins:
      - name: errors
      - {{name: health, configBlock: lameduck 1s}}
      - name: ready
      - name: kubernetes
        parameters: in-addr.arpa ip6.arpa
        configBlock: |-
          pods insecure
          fallthrough in-addr.arpa ip6.arpa
      - name: reload
  - zones: [{{zone: intern.example.}}]
    port: 53
    plugins:
      - name: hosts
        configBlock: {ADDRESS} db.intern.example
"""


def test_coredns_answers_for_a_zone_of_the_user(manifests: Manifests, namespace: Namespace) -> None:
    namespace.apply(pod("client"))
    namespace.until("condition=Ready", "pod/client")

    def asked(name: str) -> str:
        return namespace.exec("client", "nslookup", "-type=a", name).stdout

    service = "kubernetes.default.svc.cluster.local"
    assert ADDRESS not in asked("db.intern.example")
    manifests.put("rke2-coredns-config.yaml", helm_chart_config("rke2-coredns", SERVERS))
    eventually(
        lambda: asked("db.intern.example"), "the new zone answers", 90, ok=lambda text: ADDRESS in text
    )
    assert "Address: 10.43.0.1\n" in asked(service)

    manifests.remove("rke2-coredns-config.yaml")
    eventually(
        lambda: asked("db.intern.example"), "the zone is gone", 90, ok=lambda text: ADDRESS not in text
    )
    eventually(
        lambda: asked(service), "the cluster's names answer", 30, ok=lambda text: "10.43.0.1\n" in text
    )


def test_values_that_kubernetes_refuses_take_nothing_away(cluster: LabNode, manifests: Manifests) -> None:
    """RKE2 uninstalls the chart and installs it again, which fails: the component is gone."""
    chart, system = "rke2-metrics-server", manifests.system
    before = _deployment(system, chart)
    manifests.put(f"{chart}-config.yaml", helm_chart_config(chart, "replicas: many"))
    told = manifests.event("HelmChart", chart, "HelmFailed", 120, containing="cannot unmarshal string")
    assert "spec.replicas" in told

    def status() -> str:
        return cluster.host.exec(["rke2", "status"], check=False, timeout=60).stdout

    def says_why(text: str) -> bool:
        return (
            f"chart {chart}  failing: helm upgrade failed" in text and "spec.replicas of type int32" in text
        )

    eventually(status, "rke2 status says why", 60, ok=says_why)
    eventually(
        lambda: _revisions(system, chart), "helm has tried again", 120, ok=lambda n: n.count("failed") > 1
    )
    assert _deployment(system, chart) == before

    manifests.remove(f"{chart}-config.yaml")
    eventually(
        lambda: _revisions(system, chart), "the chart is deployed", 120, ok=lambda n: n[-1] == "deployed"
    )
    assert _deployment(system, chart) == before


def _deployment(system: Namespace, name: str) -> tuple[str, int]:
    found = system.find("deployment", name)
    return found["metadata"]["uid"], found["status"]["readyReplicas"]


def _revisions(system: Namespace, chart: str) -> list[str]:
    """The states of the release's revisions, the latest last."""
    records = [
        each["metadata"]["labels"]
        for each in system.list("secrets", "--selector", f"owner=helm,name={chart}")
    ]
    return [labels["status"] for labels in sorted(records, key=lambda labels: int(labels["version"]))]
