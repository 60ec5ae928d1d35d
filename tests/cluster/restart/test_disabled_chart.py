"""A packaged chart that is disabled goes with all it installed; it is installed again when it is not any more."""

from __future__ import annotations

from rke2.config.paths import Paths
from tests.cluster.namespace import Namespace
from tests.cluster.restart.server import Server

CHART = "rke2-metrics-server"
DROP_IN = Paths().config_dir / "config.yaml.d/90-disable.yaml"


def test_a_chart_is_disabled_and_enabled_again(server: Server) -> None:
    system, manifest = Namespace(server.node, "kube-system"), server.node.host.path(Paths().manifests)
    server.terminate()
    server.node.host.write_file(DROP_IN, f"disable: {CHART}\n")
    server.start()
    server.until_ready()
    for kind in ("deployment", "service", "serviceaccount", "helmchart.helm.cattle.io"):
        system.until_gone(kind, CHART)
    system.until_gone("apiservice", "v1beta1.metrics.k8s.io")
    assert not (manifest / f"{CHART}.yaml").exists()

    server.terminate()
    server.node.host.path(DROP_IN).unlink()
    server.start()
    server.until_ready()
    system.until("condition=Available", f"deployment/{CHART}")
