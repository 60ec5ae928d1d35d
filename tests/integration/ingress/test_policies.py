"""Ordinary good and bad Ingresses, before the policy of rke2-ingress-nginx in a real API server."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.cluster.objects import Object, ingress
from tests.integration.ingress.conftest import Gate, in_force, rendered, until

pytestmark = [pytest.mark.root, pytest.mark.content]

TYPES = {
    "bool": ("ssl-redirect", "false", "no"),
    "switch": ("proxy-buffering", "on", "true"),
    "number": ("proxy-read-timeout", "60", "60s"),
    "integer": ("session-cookie-max-age", "-1", "1 day"),
    "size": ("proxy-body-size", "8m", "8 MB"),
    "duration": ("global-rate-limit-window", "90s", "ninety"),
    "validities": ("auth-cache-duration", "200 202 10m, 401 5m", "200 soon"),
    "statuses": ("custom-http-errors", "404, 503", "404 to 503"),
    "redirection": ("permanent-redirect-code", "308", "200"),
    "networks": ("whitelist-source-range", "10.0.0.0/8,\n 192.0.2.1, fd00::/8\n", "10.0.0.0/8 and others"),
    "word": ("session-cookie-name", "route", "my route"),
    "text": ("auth-realm", "Staff only", "Staff; only"),
    "words": ("proxy-cookie-path", "/one/ /two/", "/one/; /two/"),
    "header": ("canary-by-header", "X-Try", "X-Try: yes"),
    "headers": ("auth-response-headers", "X-User, X-Groups", "X-User; X-Groups"),
    "exposed": ("cors-expose-headers", "*, X-Count", "X Count"),
    "method": ("auth-method", "GET", "GET POST"),
    "methods": ("cors-allow-methods", "GET, PUT", "GET; PUT"),
    "origins": (
        "cors-allow-origin",
        "https://*.example.com:8443, http://a.example",
        "https://a.example/path",
    ),
    "hosts": ("server-alias", "www.example.com,*.example.org", "www example"),
    "host": ("upstream-vhost", "$service_name.shop.svc.cluster.local", "a host"),
    "variables": ("auth-cache-key", "$remote_user$http_authorization", "a b"),
    "hash": ("upstream-hash-by", "${request_uri}-$host", "request uri; host"),
    "path": ("app-root", "/start/here", "start here"),
    "target": ("rewrite-target", "/api/$2", "/api/ $2"),
    "redirect": ("proxy-redirect-from", "http://inside.example/", "inside; outside"),
    "url": ("permanent-redirect", "https://www.example.com/new?from=old", "https://www.example.com/a b"),
    "request": ("auth-url", "https://$host/oauth2/auth", "oauth2.example/auth"),
    "signin": (
        "auth-signin",
        "https://$host/oauth2/start?rd=$escaped_request_uri",
        "https://a.example/ start",
    ),
    "errorPage": ("auth-tls-error-page", "https://www.example.com/denied.html", "denied page"),
    "service": ("default-backend", "sorry", "Sorry Page"),
    "object": ("auth-secret", "users", "the users"),
    "ciphers": ("ssl-ciphers", "ECDHE-RSA-AES128-GCM-SHA256:!aNULL", "strong ones"),
    "protocols": ("proxy-ssl-protocols", "TLSv1.2 TLSv1.3", "TLSv1.0"),
    "commonName": ("auth-tls-match-cn", "CN=(ann|bob)", "ann or bob"),
    "expression": ("canary-by-header-pattern", "^v[0-9]+$", "v 1; v 2"),
    "verification": ("auth-tls-verify-client", "optional", "sometimes"),
    "failures": ("proxy-next-upstream", "error timeout http_502", "errors"),
    "backendProtocol": ("backend-protocol", "HTTPS", "SPDY"),
    "balancing": ("load-balance", "ewma", "random"),
    "quantity": ("satisfy", "any", "some"),
    "affinity": ("affinity", "cookie", "address"),
    "affinityMode": ("affinity-mode", "persistent", "sticky"),
    "canaryBehavior": ("affinity-canary-behavior", "sticky", "loose"),
    "sameSite": ("session-cookie-samesite", "Lax", "Loose"),
    "authentication": ("auth-type", "basic", "bearer"),
    "secretKind": ("auth-secret-type", "auth-map", "file"),
    "httpVersion": ("proxy-http-version", "1.1", "2"),
    "connection": ("connection-proxy-header", "keep-alive", "open"),
}
"""Of each type of values: an annotation, a value it has in earnest, and one that is a slip."""

EVERYDAY = [
    ("auth-signin", "https://login.example/oauth2/start?rd=$scheme://$host$escaped_request_uri"),
    ("auth-url", "http://oauth2-proxy.auth.svc.cluster.local:4180/oauth2/auth"),
    ("auth-url", "https://login.example/verify?from=$host&to=$request_uri"),
    ("auth-tls-match-cn", r"CN=[\w-]+\.example\.com"),
    ("permanent-redirect", "https://www.example.com"),
    ("permanent-redirect", "https://www.example.com?from=old"),
    ("temporal-redirect", "/elsewhere"),
    ("mirror-target", "https://mirror.example$request_uri"),
    ("proxy-body-size", "0"),
    ("session-cookie-samesite", "None"),
    ("ssl-redirect", "True"),
    ("whitelist-source-range", "0.0.0.0/0,::/0"),
    ("auth-response-headers", "X-Auth-Request-User, X-Auth-Request-Email, Authorization"),
    ("cors-allow-methods", "PUT, GET, POST, OPTIONS"),
    ("cors-allow-origin", "*"),
    ("upstream-hash-by", "$binary_remote_addr"),
    ("rewrite-target", "/$1$2"),
    ("auth-realm", "Authentication Required - staff"),
    ("proxy-next-upstream", "off"),
    ("session-cookie-expires", "172800"),
]
"""As manuals and charts of applications have them."""

PATHS = ["/", "/shop", "/a-b_c.d~e/f%20g", "/v1/items:search", "/@user", "/a,b=c&d+e!"]
EXPRESSIONS = [
    "/api(/|$)(.*)",
    "/v[0-9]+/.*",
    r"/img/.+\.(png|jpg)$",
    "/(?i)shop",
    "/id/[0-9]{2,4}",
    "/(?!api).*",
]
SLIPS = ["/a path", "/shop;", "/it's", '/"quoted"', "/{name}", "/a#b", "/new\nline"]


def annotated(name: str, value: str, **more: Any) -> Object:
    made = ingress("made", "made.example", **more)
    made["metadata"]["annotations"][f"nginx.ingress.kubernetes.io/{name}"] = value
    return made


def with_path(path: str, kind: str) -> Object:
    made = ingress("made", "made.example", path=path)
    made["spec"]["rules"][0]["http"]["paths"][0]["pathType"] = kind
    return made


def of_class(name: str, wanted: Object) -> Object:
    wanted["spec"]["ingressClassName"] = name
    return wanted


def named(name: str, wanted: Object) -> Object:
    wanted["metadata"]["name"] = name
    return wanted


def test_the_table_has_all_types() -> None:
    policy = next(each for each in rendered() if each["kind"] == "ValidatingAdmissionPolicy")
    variables = {each["name"]: each["expression"] for each in policy["spec"]["variables"]}
    assert set(re.findall(r"'(\w+)': r'", variables["patterns"])) - {"snippet"} == set(TYPES)
    types = dict(re.findall(r"'([a-z0-9-]+)': '(\w+)'", variables["types"]))
    assert {kind: types[name] for kind, (name, _, _) in TYPES.items()} == {kind: kind for kind in TYPES}


@pytest.mark.parametrize("kind", TYPES)
def test_values_have_types(kind: str, gate: Gate) -> None:
    name, right, slip = TYPES[kind]
    assert gate.tried(annotated(name, right)) == ""
    refused = gate.tried(annotated(name, slip))
    assert f"nginx.ingress.kubernetes.io/{name} must be " in refused, refused


@pytest.mark.parametrize(
    "slip", ["value; other", "value {other}", 'a "quoted" value', "value # comment", "a\nb"]
)
def test_no_type_takes_what_nginx_gives_a_meaning_to(slip: str, gate: Gate) -> None:
    for name, _, _ in TYPES.values():
        assert f"{name} must be " in gate.tried(annotated(name, slip)), name


def test_what_is_not_on_the_list_is_refused(gate: Gate) -> None:
    assert "proxy-body-sice is not one that" in gate.tried(annotated("proxy-body-sice", "8m"))
    for name in (
        "configuration-snippet",
        "server-snippet",
        "auth-snippet",
        "stream-snippet",
        "modsecurity-snippet",
    ):
        assert "snippets are switched off" in gate.tried(annotated(name, "# nothing"))
    assert gate.tried(annotated("ssl-redirect", "")) == "", "what says nothing is not read"


def test_secrets_and_configmaps_are_those_of_the_own_namespace(gate: Gate) -> None:
    for name in (
        "auth-secret",
        "auth-tls-secret",
        "proxy-ssl-secret",
        "auth-proxy-set-headers",
        "custom-headers",
    ):
        assert gate.tried(annotated(name, "default/mine")) == ""
        assert "must name an object of the namespace default" in gate.tried(
            annotated(name, "kube-system/theirs")
        )


@pytest.mark.parametrize("address", ["127.0.0.1:8080", "LocalHost", "[::1]", "0.0.0.0"])
def test_no_request_is_sent_to_the_controller_itself(address: str, gate: Gate) -> None:
    for name in ("auth-url", "mirror-target"):
        assert gate.tried(annotated(name, f"http://{address}/status")) != ""
    assert gate.tried(annotated("auth-url", "http://10.43.0.1:8080/status")) == ""


@pytest.mark.parametrize("kind", ["Prefix", "Exact", "ImplementationSpecific"])
def test_paths(kind: str, gate: Gate) -> None:
    assert [path for path in PATHS if gate.tried(with_path(path, kind))] == []
    taken = [] if kind != "ImplementationSpecific" else EXPRESSIONS
    assert [path for path in EXPRESSIONS if not gate.tried(with_path(path, kind))] == taken
    for slip in SLIPS:
        assert "has characters that paths of its pathType may not have" in gate.tried(
            with_path(slip, kind)
        ), slip


def test_every_way_to_name_the_class(gate: Gate) -> None:
    slip = annotated("ssl-redirect", "no")
    by_annotation = annotated("ssl-redirect", "no")
    by_annotation["metadata"]["annotations"]["kubernetes.io/ingress.class"] = "nginx"
    for wanted in (slip, by_annotation, of_class("nginx", annotated("ssl-redirect", "no"))):
        assert "ssl-redirect must be" in gate.tried(wanted)
    second = of_class("second", annotated("ssl-redirect", "no"))
    assert "ssl-redirect must be" in gate.tried(second), "another class of the same controller"


def test_ingresses_of_other_controllers_are_their_business(gate: Gate) -> None:
    other = annotated("ssl-redirect", "no")
    other["metadata"]["annotations"]["kubernetes.io/ingress.class"] = "another"
    for wanted in (other, of_class("another", annotated("ssl-redirect", "no"))):
        wanted["spec"]["rules"][0]["http"]["paths"][0]["path"] = "/a path"
        assert gate.tried(wanted) == ""
    assert gate.tried(of_class("of-nobody", annotated("ssl-redirect", "no"))) == ""


def test_an_ingress_that_comes_from_another_controller_is_new(gate: Gate) -> None:
    assert gate.applied(named("moving", of_class("another", annotated("ssl-redirect", "no")))) == ""
    assert "ssl-redirect must be" in gate.applied(
        named("moving", of_class("nginx", annotated("ssl-redirect", "no")))
    )
    assert gate.applied(named("moving", of_class("nginx", annotated("ssl-redirect", "false")))) == ""


def test_what_was_stored_before_goes_on(gate: Gate) -> None:
    """An upgrade loses no site: labels, status, finalizers and other values change; the old value may stay."""
    stored = annotated("ssl-redirect", "no", path="/a path")
    namespace = stored_around(gate, named("stored", stored))
    update = namespace.refusal("label", "ingress/stored", "team=shop")
    assert update == ""
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
    patch = ("patch", "ingress/stored", "--type=merge", "--subresource=status")
    assert namespace.refusal(*patch, f"--patch={status}".replace("'", '"')) == ""
    assert (
        namespace.refusal("annotate", "ingress/stored", "nginx.ingress.kubernetes.io/proxy-body-size=8m")
        == ""
    )
    refused = namespace.refusal(
        "annotate", "ingress/stored", "nginx.ingress.kubernetes.io/proxy-buffering=yes"
    )
    assert "proxy-buffering must be" in refused
    refused = namespace.refusal(
        "annotate", "--overwrite", "ingress/stored", "nginx.ingress.kubernetes.io/ssl-redirect=never"
    )
    assert "ssl-redirect must be" in refused, "another bad value is no better"
    other = '[{"op":"replace","path":"/spec/rules/0/http/paths/0/path","value":"/another path"}]'
    assert "/another path" in namespace.refusal("patch", "ingress/stored", "--type=json", f"--patch={other}")
    good = '[{"op":"replace","path":"/spec/rules/0/http/paths/0/path","value":"/path"}]'
    assert namespace.refusal("patch", "ingress/stored", "--type=json", f"--patch={good}") == ""
    assert namespace.refusal("delete", "ingress/stored") == ""


def stored_around(gate: Gate, wanted: Object) -> Gate:
    """`wanted`, as it is stored where there is no policy yet."""
    name = next(each["metadata"]["name"] for each in rendered() if each["kind"].endswith("Binding"))
    gate.cluster.kubectl("delete", "validatingadmissionpolicybinding", name)
    until(lambda: gate.tried(wanted) == "", "the policy is not in force any more")
    assert gate.applied(wanted) == ""
    in_force(gate.cluster, rendered())
    return gate


def test_default_backends_are_for_whom_the_administrator_lets(gate: Gate) -> None:
    catch_all = ingress("made", "made.example")
    del catch_all["spec"]["rules"][0]["host"]
    default: Object = ingress("made", "made.example")
    default["spec"] = {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}
    assert (gate.tried(catch_all), gate.tried(default)) == ("", "")
    in_force(gate.cluster, rendered("controller.admissionPolicies.catchAll=false"))
    try:
        for wanted in (catch_all, default):
            until(lambda wanted=wanted: "name a host" in gate.tried(wanted), "catch-alls are refused")
        assert gate.tried(ingress("made", "made.example")) == ""
    finally:
        in_force(gate.cluster, rendered())
        until(lambda: gate.tried(default) == "", "catch-alls are taken again")


def test_an_administrator_widens_the_list(gate: Gate) -> None:
    values = (
        'controller.admissionPolicies.annotations={"team": "word", "ssl-redirect": "^(yes|no)$", "app-root": ""}',
        'controller.admissionPolicies.paths="^/[a-z ]*$"',
        "controller.allowSnippetAnnotations=true",
    )
    in_force(gate.cluster, rendered(*values))
    try:
        until(lambda: gate.tried(annotated("team", "shop")) == "", "the new values are in force")
        assert "team must be a word" in gate.tried(annotated("team", "a shop"))
        assert gate.tried(annotated("ssl-redirect", "no")) == ""
        assert "must be what ^(yes|no)$ matches" in gate.tried(annotated("ssl-redirect", "true"))
        assert "app-root is not one that" in gate.tried(annotated("app-root", "/start"))
        assert gate.tried(annotated("configuration-snippet", "add_header X-A b;")) == ""
        assert gate.tried(with_path("/a path", "Prefix")) == ""
    finally:
        in_force(gate.cluster, rendered())
        until(
            lambda: gate.tried(annotated("app-root", "/start")) == "", "the chart's own values are in force"
        )


def test_actions_and_namespaces_are_the_administrators() -> None:
    values = (
        'controller.admissionPolicies.validationActions=["Warn", "Audit"]',
        'controller.admissionPolicies.namespaceSelector={"matchLabels": {"ingresses": "validated"}}',
    )
    binding = next(each for each in rendered(*values) if each["kind"].endswith("Binding"))
    assert binding["spec"]["validationActions"] == ["Warn", "Audit"]
    assert binding["spec"]["matchResources"]["namespaceSelector"] == {
        "matchLabels": {"ingresses": "validated"}
    }


def test_a_large_ingress_is_within_the_budget(gate: Gate) -> None:
    """What CEL may cost is limited; an expression above it would refuse the object."""
    large = annotated("auth-cache-key", "k" * 4000)
    for name, right, _ in TYPES.values():
        large["metadata"]["annotations"][f"nginx.ingress.kubernetes.io/{name}"] = right
    backend = large["spec"]["rules"][0]["http"]["paths"][0]["backend"]
    paths = [
        {"path": f"/api/v{n}/(.*)/{'x' * 200}", "pathType": "ImplementationSpecific", "backend": backend}
        for n in range(100)
    ]
    large["spec"]["rules"] = [{"host": f"h{n}.example", "http": {"paths": paths}} for n in range(10)]
    assert gate.refusal("create", "-f", "-", stdin=named("large", large)) == ""
    assert gate.refusal("label", "ingress/large", "team=shop") == ""
    assert gate.refusal("delete", "ingress/large") == ""


def test_the_api_server_finds_nothing_to_warn_of(gate: Gate) -> None:
    name = next(each["metadata"]["name"] for each in rendered())

    def status() -> Any:
        return gate.cluster.get("validatingadmissionpolicy", name).get("status", {})

    until(lambda: "typeChecking" in status(), "the expressions were checked")
    assert status()["typeChecking"] == {}
