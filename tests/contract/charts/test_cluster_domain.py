"""Charts of a cluster with a domain of its own: none of them has the default one in it."""

from __future__ import annotations

from pathlib import Path

from tests.contract.charts.rendering import Helm

OWN = "corp.example"


def test_no_chart_has_the_default_domain(archives: dict[str, Path], helm: Helm) -> None:
    values = {"rke2-coredns": "nodelocal: {enabled: true}"}
    rendered = {
        name: helm("template", name, {"global.clusterDomain": OWN}, values.get(name, "")) for name in archives
    }
    assert [
        name for name, done in rendered.items() if "cluster.local" in done.stdout or done.returncode
    ] == []
    assert f"kubernetes {OWN} in-addr.arpa" in rendered["rke2-coredns"].stdout
    assert f"    {OWN}:53 {{" in rendered["rke2-coredns"].stdout
