"""A packaged chart the whole way: packed, handed over as chartContent, accepted by a real API server."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from distribution.builder import charts, lines

from .pod import Pod

pytestmark = [pytest.mark.root, pytest.mark.content]

INJECTED = (
    "global.clusterDNS=10.43.0.10",
    "global.clusterDomain=cluster.local",
    "global.systemDefaultRegistry=",
)


def test_coredns_is_accepted_by_the_api_server(allowed: Pod, tmp_path: Path) -> None:
    places = lines.sources()
    manifests = charts.write_manifests(places.charts, tmp_path / "charts", places.go_mod)
    manifest = next(each for each in manifests if each.stem == "rke2-coredns")
    content = yaml.safe_load(manifest.read_text())["spec"]["chartContent"]
    allowed.env["NAME"] = "rke2-coredns"
    allowed.volumes = {"chart/rke2-coredns.tgz.base64": content}
    outcome = allowed.install(0, "retry", *INJECTED)
    assert outcome.code == 0, outcome.output
    assert "warning" not in outcome.output.lower()
    service = allowed.cluster.get("service", "rke2-coredns-rke2-coredns", "-n", allowed.namespace)
    assert service["spec"]["clusterIPs"] == ["10.43.0.10"]
    upgraded = allowed.install(1, "retry", *INJECTED, "autoscaler.enabled=false", "replicaCount=2")
    assert (upgraded.code, upgraded.helm_calls()) == (0, ["upgrade"]), upgraded.output
    deployment = allowed.cluster.get("deployment", "rke2-coredns-rke2-coredns", "-n", allowed.namespace)
    assert deployment["spec"]["replicas"] == 2
    assert allowed.run("delete").code == 0
    assert allowed.records() == {}
