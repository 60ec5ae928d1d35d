"""Whoever may write an Ingress can neither write nginx' configuration nor stop it for everybody."""

from __future__ import annotations

import pytest

from tests.cluster.ingress.conftest import Sites
from tests.cluster.objects import ingress

MARKER = "x-injected"
INJECTED = f'add_header {MARKER} "1" always;'


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        ("configuration_snippet", INJECTED),
        ("server_snippet", INJECTED),
        ("auth_url", f"http://192.0.2.1/#;}}}}{INJECTED}"),
        ("auth_url", f"http://192.0.2.1/\n{INJECTED}"),
        ("auth_signin", f"http://192.0.2.1/#;{INJECTED}"),
        ("auth_tls_match_cn", f"CN=a #(\n){{}} }}}}\n{INJECTED}"),
        ("mirror_target", f'http://192.0.2.1/#";{INJECTED}'),
    ],
)
def test_an_annotation_does_not_become_configuration(annotation: str, value: str, sites: Sites) -> None:
    sites.publish(
        ingress("harmful", "harmful.example", **{annotation: value}), ingress("healthy", "healthy.example")
    )
    name = f"after-{abs(hash((annotation, value))) % 10**8}.example"
    sites.publish(ingress("after", name))
    sites.until(name)
    assert MARKER not in sites.visitor.get("harmful.example").headers
    assert MARKER not in sites.visitor.get("healthy.example").headers
    sites.namespace.remove("ingress", "harmful")


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
