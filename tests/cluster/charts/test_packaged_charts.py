"""The packaged charts are the users' to change, with a HelmChartConfig as in RKE2."""

from __future__ import annotations

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
