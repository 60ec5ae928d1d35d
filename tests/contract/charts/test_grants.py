"""No packaged chart grants what can be turned into more, with whatever values, unless the table says who needs it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from distribution.builder.places import Places
from tests.contract.charts.rendering import Helm
from tests.grants import ROLE_KINDS, allowed_bindings, allowed_permissions, foreign_roles, rows, told_dangers

VARIANTS: dict[str, tuple[str, ...]] = {
    "rke2-cilium": (
        "bgpControlPlane: {enabled: true}",
        "ciliumEndpointSlice: {enabled: true}",
        "egressGateway: {enabled: true}\nbpf: {masquerade: true}",
        "encryption: {enabled: true, type: ipsec}",
        "encryption: {enabled: true, type: wireguard}",
        "hubble: {enabled: true}",
        "ipam: {mode: cluster-pool}",
        "l2announcements: {enabled: true}",
        "operator: {unmanagedPodWatcher: {restart: true}, setNodeTaints: true}",
        "tls: {secretSync: {enabled: true}}",
    ),
    "rke2-coredns": ("hpa: {enabled: true, metrics: []}", "nodelocal: {enabled: true}"),
    "rke2-snapshot-controller": ("controller: {args: {enableDistributedSnapshotting: true}}",),
    "rke2-traefik": ("providers: {kubernetesIngressNginx: {enabled: true}}",),
}
"""HelmChartConfigs under which a chart grants more than by default."""

_INLINE = re.compile(r"resources: \[([^\]{]+)\]")


def rendered(helm: Helm, chart: str) -> list[dict[str, Any]]:
    """The objects of a chart with its defaults and with every variant."""
    objects: list[dict[str, Any]] = []
    for values in ("", *VARIANTS.get(chart, ())):
        done = helm("template", chart, values=values)
        assert done.returncode == 0, f"{values}: {done.stderr}"
        objects += [each for each in yaml.safe_load_all(done.stdout) if each]
    return objects


def test_charts_grant_only_what_the_table_names(archives: dict[str, Path], helm: Helm) -> None:
    assert {row["source"] for row in rows()} <= {"rke2", "helm", *archives}
    for chart in archives:
        objects = rendered(helm, chart)
        assert told_dangers(chart, objects) == allowed_permissions(chart)
        assert foreign_roles(objects) == allowed_bindings(chart)


@pytest.mark.parametrize(
    "chart", sorted(path.parent.name for path in Places.default().charts.glob("*/Chart.yaml"))
)
def test_the_variants_reach_every_rule(chart: str, helm: Helm) -> None:
    """A rule behind a condition that no variant fulfils would go unseen."""
    templates = [
        path.read_text() for path in (Places.default().charts / chart / "templates").glob("**/*.yaml")
    ]
    text = "".join(each for each in templates if "rbac.authorization.k8s.io" in each)
    written = {tuple(part.strip() for part in match.split(",")) for match in _INLINE.findall(text)}
    seen = {
        tuple(rule["resources"])
        for each in rendered(helm, chart)
        if each["kind"] in ROLE_KINDS
        for rule in each["rules"] or ()
        if "resources" in rule
    }
    assert written <= seen


def test_cilium_reads_no_secrets_of_others_unless_it_is_told_to(helm: Helm) -> None:
    """Upstream's operator may read every Secret, for policies that need Envoy, which is not part of this release."""
    objects = [each for each in yaml.safe_load_all(helm("template", "rke2-cilium").stdout) if each]
    assert {role for _, role, _ in told_dangers("rke2-cilium", objects)} == {"cilium-tlsinterception-secrets"}
