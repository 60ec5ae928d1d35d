"""A site with two replicas behind the controller, and a visitor on another host."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cryptography import x509

from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.authorities import own_authority
from tests.cluster.eventually import eventually
from tests.cluster.ingress.visitor import Answer, Visitor
from tests.cluster.namespace import Namespace
from tests.cluster.objects import Object, service, web_deployment

SECONDS = 60


@dataclass(frozen=True)
class Sites:
    """The namespace with the applications, and who visits them."""

    namespace: Namespace
    visitor: Visitor

    def publish(self, *objects: Object) -> None:
        """Create Ingresses and what they need."""
        self.namespace.apply(*objects)

    def until(self, host: str, path: str = "/", *, status: int = 200, ca: str = "") -> Answer:
        """The answer of a site, as soon as it has this status."""
        return eventually(
            lambda: self.visitor.get(host, path, ca=ca),
            f"http://{host}{path} answers {status}",
            SECONDS,
            ok=lambda answer: answer.status == status,
        )

    def replicas(self, app: str) -> set[str]:
        """The names of an application's pods."""
        return {pod["metadata"]["name"] for pod in self.namespace.list("pods", "--selector", f"app={app}")}


@pytest.fixture(scope="module")
def visitor(cluster: LabNode) -> Iterator[Visitor]:
    """Another host of the shared server's lab."""
    directory = cluster.host.directory.parents[1]
    lab = Lab(directory.parent, directory.name)
    yield Visitor(lab.add_host("visitor"), cluster.host.address)
    lab.remove_host("visitor")


def run_applications(namespace: Namespace) -> None:
    """Run what the sites show: `web` with two replicas, `other` with one."""
    namespace.apply(
        web_deployment("web", replicas=2),
        web_deployment("other", replicas=1),
        service("web", "web"),
        service("other", "other"),
    )
    namespace.until("condition=Available", "deployment/web", "deployment/other")


@pytest.fixture(scope="module")
def sites(namespace: Namespace, visitor: Visitor) -> Sites:
    run_applications(namespace)
    Namespace(namespace.node, "kube-system").kubectl(
        "rollout", "status", "daemonset/rke2-ingress-nginx-controller", "--timeout=90s", timeout=120
    )
    return Sites(namespace, visitor)


@dataclass(frozen=True)
class Certificate:
    """A certificate that is its own authority, and its key."""

    certificate: str
    key: str

    def secret(self, name: str) -> Object:
        """The Secret an Ingress names."""
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": name},
            "stringData": {"tls.crt": self.certificate, "tls.key": self.key},
        }


def certificate_for(host: str) -> Certificate:
    """A new certificate for a site."""
    certificate, key = own_authority(host, x509.DNSName(host))
    return Certificate(certificate.decode(), key.decode())
