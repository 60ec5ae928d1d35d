"""One control plane with the policy as the chart renders it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from distribution.builder import lines
from rke2.version import KUBERNETES_VERSION
from tests.binaries import binary
from tests.cluster.objects import Object, ingress
from tests.control_plane import ControlPlane, control_plane

CHART = "rke2-ingress-nginx"
CLASSES = {
    "nginx": "k8s.io/ingress-nginx",
    "second": "k8s.io/ingress-nginx",
    "another": "example.com/another-controller",
}
IN_FORCE_WITHIN = 30.0


@dataclass(frozen=True)
class Gate:
    """The API server, asked whether it takes an object."""

    cluster: ControlPlane
    namespace: str = "default"

    def refusal(self, *arguments: str, stdin: object = None) -> str:
        """What kubectl says against a write; empty if it was taken."""
        kubectl = (str(binary("kubectl")), f"--kubeconfig={self.cluster.kubeconfig}", f"-n={self.namespace}")
        done = subprocess.run(
            self.cluster.command(*kubectl, *arguments),
            input=json.dumps(stdin),
            text=True,
            capture_output=True,
            check=False,
        )
        return done.stderr.strip() if done.returncode else ""

    def tried(self, wanted: Object) -> str:
        """What is said against an object that is not kept."""
        return self.refusal("create", "--dry-run=server", "-f", "-", stdin=wanted)

    def applied(self, wanted: Object) -> str:
        """What is said against an object that is kept, or replaces what is there."""
        return self.refusal("apply", "-f", "-", stdin=wanted)


def rendered(*values: str) -> list[Object]:
    """The policy and its binding; `values` are Helm's ``--set-json``."""
    chart = str(lines.sources().charts / CHART)
    command = [str(binary("helm")), "template", CHART, chart, "--namespace=kube-system"]
    command += [
        f"--kube-version={KUBERNETES_VERSION}",
        "--set=global.systemDefaultIngressClass=ingress-nginx",
    ]
    command += ["--show-only=templates/policies.yaml", *(f"--set-json={each}" for each in values)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def ingress_class(name: str, controller: str) -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": name},
        "spec": {"controller": controller},
    }


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "helm"):
        binary(name)
    with control_plane(tmp_path_factory.mktemp("policies")) as running:
        running.apply(*(ingress_class(name, controller) for name, controller in CLASSES.items()))
        running.start_controller_manager("validatingadmissionpolicy-status-controller")
        yield running
        running.stop("kube-controller-manager")


@pytest.fixture(scope="session")
def gate(cluster: ControlPlane) -> Gate:
    """With the policy of the chart's own values in force."""
    return in_force(cluster, rendered())


def in_force(cluster: ControlPlane, objects: list[Object]) -> Gate:
    """Wait until `objects` decide."""
    cluster.apply(*objects)
    gate, unknown = Gate(cluster), ingress("probe", "probe.example", not_an_annotation="x")
    until(lambda: "not_an_annotation".replace("_", "-") in gate.tried(unknown), "the policy is in force")
    return gate


def until(condition: Any, what: str) -> None:
    """Ask until it holds."""
    deadline = time.monotonic() + IN_FORCE_WITHIN
    while not condition():
        assert time.monotonic() < deadline, f"not within {IN_FORCE_WITHIN:.0f} s: {what}"
        time.sleep(0.2)
