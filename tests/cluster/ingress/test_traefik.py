"""``ingress-controller: traefik``, on a server of its own; its images are in an optional archive."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2_lab.lab import Lab
from tests.cluster.eventually import eventually
from tests.cluster.ingress.conftest import Sites, certificate_for, run_applications
from tests.cluster.ingress.visitor import Visitor
from tests.cluster.namespace import Namespace
from tests.cluster.nodes import place_server
from tests.cluster.objects import Object, ingress, service
from tests.cluster.restart.server import Server

pytestmark = pytest.mark.long

OTHERS = "disable: [rke2-metrics-server, rke2-snapshot-controller, rke2-snapshot-controller-crd]\n"
CONFIG = f"ingress-controller: traefik\n{OTHERS}"
SHA_OF_SECRET = base64.b64encode(hashlib.sha1(b"secret").digest()).decode()


@pytest.fixture(scope="module")
def server(lab: Lab, workload_archive: Path) -> Iterator[Server]:
    made = Server(place_server(lab, "with-traefik", workload_archive, CONFIG, lean=False))
    made.start()
    made.until_ready()
    yield made
    lab.remove_host("with-traefik")


@pytest.fixture(scope="module")
def sites(server: Server, lab: Lab) -> Iterator[Sites]:
    """The applications, and a visitor on another host."""
    namespace = Namespace.create(server.node, "sites")
    run_applications(namespace)
    yield Sites(namespace, Visitor(lab.add_host("traefiks-visitor"), server.node.host.address))
    lab.remove_host("traefiks-visitor")


def traefik(kind: str, name: str, **spec: object) -> Object:
    """An object of one of Traefik's kinds, for the packaged controller."""
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "annotations": {"kubernetes.io/ingress.class": "traefik"}},
        "spec": spec,
    }


def users_of(name: str, line: str) -> Object:
    """The Secret of a Middleware that asks for a password: one line of a file of users."""
    metadata = {"name": name}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"users": line}}


def route(name: str, match: str, to: str, *middlewares: str) -> Object:
    """An IngressRoute of plain HTTP.

    Args:
        name: of the object.
        match: Traefik's rule.
        to: the service.
        middlewares: names of Middlewares.
    """
    rule = {
        "kind": "Rule",
        "match": match,
        "services": [{"name": to, "port": 80}],
        "middlewares": [{"name": each} for each in middlewares],
    }
    return traefik("IngressRoute", name, entryPoints=["web"], routes=[rule])


def test_a_site_with_tls_is_reachable_from_another_machine(sites: Sites) -> None:
    own = certificate_for("shop.example")
    sites.publish(own.secret("shop-tls"), ingress("shop", "shop.example", tls="shop-tls"))
    answer = sites.until("shop.example", ca=own.certificate)
    assert answer.body in sites.replicas("web")
    assert sites.visitor.protocol("shop.example", own.certificate) == "h2"
    assert sites.until("shop.example").body in sites.replicas("web"), "and without TLS, as nothing redirects"


def test_hosts_and_paths_lead_to_different_applications(sites: Sites) -> None:
    sites.publish(
        ingress("one", "one.example"),
        ingress("two", "two.example", to="other"),
        ingress("deep", "one.example", to="other", path="/index.html"),
    )
    web, other = sites.replicas("web"), sites.replicas("other")
    assert sites.until("one.example").body in web
    assert sites.until("two.example").body in other
    assert sites.until("one.example", "/index.html").body in other
    assert sites.visitor.get("unknown.example").status == 404


def test_an_ingress_without_a_class_gets_traefiks(sites: Sites) -> None:
    sites.publish(ingress("classless", "classless.example"))
    assert sites.namespace.find("ingress", "classless")["spec"]["ingressClassName"] == "traefik"
    system = Namespace(sites.namespace.node, "kube-system")
    assert not system.find("daemonset", "rke2-ingress-nginx-controller")


def test_a_route_of_traefiks_own_kind(sites: Sites) -> None:
    sites.publish(
        traefik("Middleware", "strip", stripPrefix={"prefixes": ["/api"]}),
        route("routed", "Host(`routed.example`)", "web"),
        route("api", "Host(`routed.example`) && PathPrefix(`/api`)", "other", "strip"),
    )
    assert sites.until("routed.example").body in sites.replicas("web")
    assert sites.until("routed.example", "/api").body in sites.replicas("other")


def test_a_site_with_a_password(sites: Sites) -> None:
    users = users_of("users", f"ann:{{SHA}}{SHA_OF_SECRET}")
    closed = traefik("Middleware", "closed", basicAuth={"secret": "users"})
    sites.publish(users, closed, route("closed", "Host(`closed.example`)", "web", "closed"))
    sites.until("closed.example", status=401)

    def as_ann(password: str) -> int:
        credentials = base64.b64encode(f"ann:{password}".encode()).decode()
        return sites.visitor.get("closed.example", authorization=f"Basic {credentials}").status

    assert (as_ann("secret"), as_ann("wrong")) == (200, 401)


def test_digest_authentication_admits_nobody(sites: Sites) -> None:
    """What stands for it here must not let through; see docs/adr/0024-traefik-from-modules.md."""
    users = users_of("digests", f"ann:traefik:{hashlib.md5(b'ann:traefik:secret').hexdigest()}")
    sites.publish(
        users,
        traefik("Middleware", "digest", digestAuth={"secret": "digests"}),
        route("digest", "Host(`digest.example`)", "web", "digest"),
    )
    sites.until("digest.example", status=503)
    nobody = 'Digest username="nobody", realm="traefik", nonce="n", uri="/", nc=1, cnonce="c", qop=auth, response="x"'
    assert sites.visitor.get("digest.example", authorization=nobody).status == 503


def test_traefik_stays_where_the_option_is_removed(server: Server, sites: Sites) -> None:
    sites.publish(ingress("lasting", "lasting.example"))
    sites.until("lasting.example")
    server.terminate()
    server.node.host.write_file(Paths().config_dir / "config.yaml", OTHERS)
    server.start()
    server.until_ready()
    assert sites.until("lasting.example").body in sites.replicas("web")
    system = Namespace(server.node, "kube-system")
    assert system.find("helmchart", "rke2-traefik")
    eventually(lambda: system.find("addon", "rke2-traefik"), "the file of Traefik is applied")
    assert not system.find("helmchart", "rke2-ingress-nginx")


def test_a_route_does_not_leave_its_namespace(sites: Sites) -> None:
    away = route("away", "Host(`away.example`)", "web")
    away["spec"]["routes"][0]["services"][0] |= {
        "name": "rke2-coredns-rke2-coredns",
        "namespace": "kube-system",
    }
    outside = service("outside", "web", type="ExternalName", externalName="web.example")
    del outside["spec"]["selector"]
    sites.publish(away, outside, route("outward", "Host(`outward.example`)", "outside"))
    sites.publish(route("inside", "Host(`inside.example`)", "web"))
    sites.until("inside.example")
    assert [sites.visitor.get(f"{name}.example").status for name in ("away", "outward")] == [404, 404]
