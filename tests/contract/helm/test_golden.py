"""The objects of typical HelmCharts, as helm-controller makes them (helm-controller reference §3 and §4)."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from rke2.addons.helm.jobs import JobSettings, launched, plan
from rke2.addons.helm.model import Chart, read_config
from rke2.addons.helm.proxy import job_proxy
from tests.configs import server_config
from tests.golden import assert_golden

GOLDEN = Path(__file__).parent
SETTINGS = JobSettings("docker.io/rke2py/helm-job:v4", proxy=job_proxy({}, server_config().network))


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def chart(name: str, *, deleting: bool = False, **spec: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": "kube-system"}
    if deleting:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"apiVersion": "helm.cattle.io/v1", "kind": "HelmChart", "metadata": meta, "spec": spec}


def config(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "helm.cattle.io/v1", "kind": "HelmChartConfig", "metadata": {}, "spec": spec}


DUAL_STACK = ",".join(map(str, (ip_network("10.42.0.0/16"), ip_network("fd00::/56"))))
PACKAGED: dict[str, Any] = {
    "bootstrap": True,
    "chartContent": "H4sIAAAA",
    "failurePolicy": "retry",
    "set": {"global.clusterCIDR": DUAL_STACK, "global.prime.enabled": "false", "global.rke2DataDir": "/d"},
}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "packaged-bootstrap": (chart("rke2-canal", **PACKAGED), None),
    "packaged-with-config": (
        chart("rke2-coredns", **PACKAGED),
        config(valuesContent="replicaCount: 2\n", failurePolicy="reinstall", forceConflicts=True),
    ),
    "repository": (
        chart(
            "grafana",
            repo="https://charts.example.com",
            chart="grafana",
            version="9.1.2",
            targetNamespace="monitoring",
            createNamespace=True,
            takeOwnership=True,
            timeout="10m",
            values={"replicas": 2, "ingress": {"enabled": True}},
            valuesContent="replicas: 1\n",
            valuesSecrets=[{"name": "own", "keys": ["a.yaml", "b.yaml"]}],
            repoCA="-----BEGIN CERTIFICATE-----\n",
            repoCAConfigMap={"name": "more-ca"},
            authSecret={"name": "login"},
            authPassCredentials=True,
            backOffLimit=3,
            driver="configmap",
        ),
        None,
    ),
    "oci": (
        chart(
            "app",
            chart="oci://registry.example.com/charts/app",
            dockerRegistrySecret={"name": "pull"},
            insecureSkipTLSVerify=True,
            plainHTTP=True,
            jobImage=" registry.example.com/helm:1 ",
            podSecurityContext={"runAsUser": 1001},
            securityContext={"readOnlyRootFilesystem": False},
        ),
        None,
    ),
    "delete": (chart("rke2-canal", deleting=True, **PACKAGED), None),
}


HASHES = {
    "packaged-bootstrap": "F9A014D787A92",
    "packaged-with-config": "831AE4510CC2B",
    "repository": "AF29435DFF261",
    "oci": "C0239810BA28A",
    "delete": "5685D3D1494B6",
}
"""How the hashes begin that helm-controller 0.17.7 itself makes of these charts, with this image and NO_PROXY."""


@pytest.mark.parametrize("case", CASES)
def test_the_hash_of_a_chart_is_upstreams(case: str) -> None:
    """Else helm runs for every chart each time a server of RKE2 takes over, or one of ours."""
    obj, overrides = CASES[case]
    secrets = [{"data": {"a.yaml": "eDogMQ=="}}] if "valuesSecrets" in obj["spec"] else []
    made = plan(Chart.read(obj), read_config(overrides), SETTINGS, secrets)
    assert made.config_hash.startswith(HASHES[case])


@pytest.mark.parametrize("case", CASES)
def test_objects_of_a_chart(case: str) -> None:
    obj, overrides = CASES[case]
    secrets = [{"data": {"a.yaml": "eDogMQ=="}}] if "valuesSecrets" in obj["spec"] else []
    made = plan(Chart.read(obj), read_config(overrides), SETTINGS, secrets)
    objects = (*made.helpers, launched(made.job, made.config_hash, 2))
    assert_golden(GOLDEN / f"{case}.yaml", yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, width=120))
