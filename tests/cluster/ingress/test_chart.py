"""The chart is the user's to change: TCP services. Values that make no sense: tests/cluster/charts."""

from __future__ import annotations

from tests.cluster.charts.packing import helm_chart_config
from tests.cluster.eventually import eventually
from tests.cluster.ingress.conftest import Sites
from tests.cluster.manifest_files import Manifests

CHART, TCP_PORT = "rke2-ingress-nginx", 9000
REQUEST = ("GET / HTTP/1.0\r\n\r\n", "\n\n")


def test_a_tcp_service_is_published_and_withdrawn(sites: Sites, manifests: Manifests) -> None:
    target = f"{sites.namespace.name}/web:80"
    manifests.put(f"{CHART}-config.yaml", helm_chart_config(CHART, f"tcp: {{{TCP_PORT}: '{target}'}}\n"))

    def answer() -> str:
        return sites.visitor.talk(TCP_PORT, REQUEST).rpartition("\n\n")[2].strip()

    eventually(answer, "the service answers", 120, ok=sites.replicas("web").__contains__)
    manifests.remove(f"{CHART}-config.yaml")
    eventually(answer, "the port is closed", 120, ok="".__eq__)
