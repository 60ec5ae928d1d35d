"""Whoever may write an Ingress can neither write nginx' configuration nor stop it for everybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster.eventually import eventually
from tests.cluster.ingress.conftest import Sites
from tests.cluster.namespace import Namespace
from tests.cluster.objects import Object, ingress, service

POLICY = "validatingadmissionpolicybinding/rke2-ingress-nginx-ingresses"


@contextmanager
def without_policy(sites: Sites) -> Iterator[None]:
    """As in a cluster that does not have the policy yet."""
    binding = json.loads(sites.namespace.kubectl("get", POLICY, "--output", "json"))
    metadata = {key: binding["metadata"][key] for key in ("name", "labels", "annotations")}
    sites.namespace.kubectl("delete", POLICY)
    probe = json.dumps(ingress("probe", "probe.example", ssl_redirect="no"))

    def refused() -> bool:
        return bool(sites.namespace.attempt("create", "--dry-run=server", "-f", "-", input=probe).returncode)

    eventually(refused, "the policy is not in force", ok=lambda found: not found)
    try:
        yield
    finally:
        sites.namespace.apply({**binding, "metadata": metadata})
        eventually(refused, "the policy is in force again")


def expression(name: str, host: str, path: str, **annotations: str) -> Object:
    """An Ingress whose path is a regular expression."""
    made = ingress(name, host, path=path, use_regex="true", **annotations)
    made["spec"]["rules"][0]["http"]["paths"][0]["pathType"] = "ImplementationSpecific"
    return made


def not_served(namespace: Namespace, name: str) -> str:
    """What the controller says of an Ingress that it does not serve as it is."""

    def told() -> list[str]:
        selector = f"involvedObject.kind=Ingress,involvedObject.name={name},reason=NotServed"
        return [each["message"] for each in namespace.list("events", "--field-selector", selector)]

    return eventually(told, f"an event tells that {name} is not served")[-1]


def test_what_is_not_well_formed_is_refused(sites: Sites) -> None:
    for wanted, message in (
        (ingress("refused", "refused.example", path="/a path"), "the path /a path has characters"),
        (ingress("refused", "refused.example", proxy_body_size="8 MB"), "proxy-body-size must be a size"),
        (ingress("refused", "refused.example", server_snippet="# nothing"), "snippets are switched off"),
    ):
        done = sites.namespace.attempt("apply", "-f", "-", input=json.dumps(wanted))
        assert (done.returncode, message in done.stderr) == (1, True), done.stderr
    assert not sites.namespace.find("ingress", "refused")


def test_regular_expressions_and_captures_stand_quoted_and_work(sites: Sites) -> None:
    sites.publish(
        expression("quoted", "quoted.example", r"/files/(\d{1,3})\.html$", rewrite_target="/index.html"),
        expression("captured", "captured.example", "/api(/|$)(.*)", rewrite_target="/$2"),
        ingress("rooted", "rooted.example", app_root="/index.html", server_alias="alias.example"),
        ingress("gone", "gone.example", permanent_redirect="https://new.example/here?from=old"),
    )
    assert sites.until("quoted.example", "/files/12.html").body in sites.replicas("web")
    assert sites.visitor.get("quoted.example", "/files/1234.html").status == 404
    assert sites.until("captured.example", "/api/index.html").body in sites.replicas("web")
    redirected = sites.until("rooted.example", "/", status=302)
    assert redirected.headers["location"] == "http://rooted.example/index.html"
    assert sites.until("alias.example", "/index.html").body in sites.replicas("web")
    moved = sites.until("gone.example", "/", status=301)
    assert moved.headers["location"] == "https://new.example/here?from=old"


def test_a_version_that_nginx_does_not_take_leaves_the_last_one_in_force(sites: Sites) -> None:
    sites.publish(expression("kept", "kept.example", "/shop(/|$)", rewrite_target="/"))
    sites.until("kept.example", "/shop")
    sites.publish(expression("kept", "kept.example", "/shop(/|$", rewrite_target="/"))
    message = not_served(sites.namespace, "kept")
    assert "missing closing parenthesis" in message
    assert "what it said before stays in force" in message
    assert sites.visitor.get("kept.example", "/shop").status == 200
    sites.publish(ingress("besides", "besides.example", to="other"))
    assert sites.until("besides.example").body in sites.replicas("other"), "the others go on changing"
    sites.publish(expression("kept", "kept.example", "/store(/|$)", rewrite_target="/"))
    sites.until("kept.example", "/store")
    assert sites.visitor.get("kept.example", "/shop").status == 404


def test_backends_are_followed_while_an_ingress_is_not_served(sites: Sites) -> None:
    """nginx' configuration does not change here: what was frozen with it was the list of endpoints, too."""
    sites.publish(service("followed", "other"), ingress("followed", "followed.example", to="followed"))
    before = sites.until("followed.example").body
    sites.publish(expression("unclosed", "unclosed.example", "/("))
    assert "it is left out until it is changed" in not_served(sites.namespace, "unclosed")
    sites.namespace.kubectl("delete", "pod", before, "--wait=false")
    eventually(
        lambda: sites.visitor.get("followed.example"),
        "the new replica answers",
        ok=lambda answer: answer.status == 200 and answer.body != before,
    )
    sites.namespace.remove("ingress", "unclosed")


def test_a_controller_that_starts_leaves_out_only_what_nginx_does_not_take(sites: Sites) -> None:
    sites.publish(
        *(ingress(f"many-{number}", f"many-{number}.example") for number in range(8)),
        expression("broken", "broken.example", "/(a"),
    )
    not_served(sites.namespace, "broken")
    system = Namespace(sites.namespace.node, "kube-system")
    system.kubectl("rollout", "restart", "daemonset/rke2-ingress-nginx-controller")
    system.kubectl(
        "rollout", "status", "daemonset/rke2-ingress-nginx-controller", "--timeout=150s", timeout=180
    )
    for number in range(8):
        sites.until(f"many-{number}.example")
    assert sites.visitor.get("broken.example").status in (0, 404)
    sites.namespace.remove("ingress", "broken")


def test_what_was_stored_before_the_policy_is_left_out_where_it_would_be_read_as_configuration(
    sites: Sites,
) -> None:
    with without_policy(sites):
        sites.publish(
            ingress("spaced", "spaced.example", path="/a path"),
            expression("braced", "braced.example", "/{name}"),
            ingress("odd", "odd.example", ssl_redirect="no"),
        )
    for name in ("spaced", "braced"):
        assert "has characters that nginx' configuration gives a meaning to" in not_served(
            sites.namespace, name
        )
    assert sites.until("odd.example").body in sites.replicas("web"), (
        "a wrong value is not a reason to be left out"
    )
    sites.publish(ingress("later", "later.example"))
    sites.until("later.example")
    sites.namespace.kubectl("label", "ingress/spaced", "team=shop")
    sites.namespace.remove("ingress", "spaced")
    sites.namespace.remove("ingress", "braced")


@pytest.mark.parametrize(
    ("annotations", "status"),
    [
        ({"enable_modsecurity": "true"}, 503),
        ({"auth_type": "digest", "auth_secret": "digest-users"}, 503),
        ({"enable_opentelemetry": "true"}, 200),
    ],
)
def test_what_the_image_lacks_stops_only_who_asks_for_it(
    annotations: dict[str, str], status: int, sites: Sites
) -> None:
    users = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "digest-users"},
        "stringData": {"auth": "ann:realm:0123456789abcdef0123456789abcdef\n"},
    }
    sites.publish(users, ingress("lacking", "lacking.example", **annotations))
    sites.until("lacking.example", status=status)
    sites.publish(ingress("next", f"next-{status}-{len(annotations)}.example"))
    sites.until(f"next-{status}-{len(annotations)}.example")
    sites.namespace.remove("ingress", "lacking")
