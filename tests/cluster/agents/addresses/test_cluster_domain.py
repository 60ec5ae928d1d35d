"""A cluster with a domain of its own: names, tokens and certificates have it, not the default one."""

from __future__ import annotations

import base64
import json
from functools import partial

import pytest

from tests.cluster.agents.addresses.conftest import DOMAIN
from tests.cluster.agents.cni.site import NODES, OTHER, Site
from tests.cluster.eventually import eventually
from tests.cluster.members import Members

pytestmark = pytest.mark.long


@pytest.mark.parametrize("node", NODES)
def test_services_have_names_of_the_domain(site: Site, node: str) -> None:
    target = f"web-{OTHER[node]}"
    for name in (
        target,
        f"{target}.{site.namespace.name}.svc",
        f"{target}.{site.namespace.name}.svc.{DOMAIN}",
    ):
        fetch = partial(site.fetch, f"client-{node}", name)
        eventually(fetch, f"{name} answers", 30, ok=target.__eq__)
    old = f"{target}.{site.namespace.name}.svc.cluster.local"
    assert site.namespace.exec(f"client-{node}", "nslookup", old, "10.43.0.10").returncode != 0


def test_tokens_are_issued_in_its_name(members: Members) -> None:
    payload = members.kubectl("create", "token", "default").split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    issuer = f"https://kubernetes.default.svc.{DOMAIN}"
    assert (claims["iss"], issuer in claims["aud"]) == (issuer, True)


def test_the_api_servers_certificate_has_its_name_in_the_domain(members: Members) -> None:
    host = members["server-0"].node.host
    script = """
import ssl, socket, sys
context = ssl.create_default_context(cafile=sys.argv[1])
for name in sys.argv[2:]:
    try:
        context.wrap_socket(socket.create_connection(("127.0.0.1", 6443)), server_hostname=name).close()
        print("yes")
    except ssl.SSLCertVerificationError:
        print("no")
"""
    service, authority = "kubernetes.default.svc", "/var/lib/rancher/rke2/server/tls/server-ca.crt"
    names = [service, f"{service}.{DOMAIN}", f"{service}.cluster.local"]
    done = host.exec([host.python, "-c", script, authority, *names], timeout=30, check=True)
    assert done.stdout.split() == ["yes", "yes", "no"]
