"""Policies block packets and let packets through: with Kubernetes' own NetworkPolicy and with Calico's.

A blocked connection runs into a timeout; a refused one or a failing name would be another fault. While something is
blocked, a path that is allowed shows that the network works at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.eventually import eventually
from tests.cluster.http import TIMED_OUT, fetch
from tests.cluster.namespace import Namespace
from tests.cluster.objects import PORT, Object, pod, web

SETTLE_SECONDS = 20.0
"""Far above the time until a policy is in the node's rules."""


class Site:
    """Web servers `guarded` and `open`; clients `friend` (labelled ``role: friend``) and `stranger`."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self._addresses: dict[str, str] = {}

    def build(self) -> None:
        self.namespace.apply(
            web("guarded"),
            web("open"),
            pod("friend", labels={"role": "friend"}),
            pod("stranger"),
        )
        names = ("guarded", "open", "friend", "stranger")
        self.namespace.until("condition=Ready", *(f"pod/{name}" for name in names))
        for item in self.namespace.list("pods"):
            self._addresses[item["metadata"]["name"]] = item["status"]["podIP"]

    def is_open(self) -> None:
        """Fail unless both clients get through to the guarded server soon."""
        for client in ("friend", "stranger"):
            self.allowed(client, "guarded")

    def fetch(self, client: str, server: str) -> str:
        """The name of the server, if `client` gets through to it."""
        return fetch(self.namespace, client, f"{self._addresses[server]}:{PORT}")

    def allowed(self, client: str, server: str) -> None:
        """Fail unless `client` gets through to `server` soon."""
        eventually(
            lambda: self.fetch(client, server), f"{client} reaches {server}", SETTLE_SECONDS, ok=server.__eq__
        )

    def blocked(self, client: str, server: str) -> None:
        """Fail unless packets from `client` to `server` vanish soon."""
        eventually(
            lambda: self.fetch(client, server),
            f"{client} is kept from {server}",
            SETTLE_SECONDS,
            ok=TIMED_OUT.__eq__,
        )


@pytest.fixture(scope="module")
def site(namespace: Namespace) -> Site:
    made = Site(namespace)
    made.build()
    made.is_open()
    return made


@pytest.fixture(autouse=True)
def _open_again_afterwards(site: Site) -> Iterator[None]:
    yield
    for kind in ("networkpolicies.networking.k8s.io", GLOBAL_POLICIES):
        site.namespace.kubectl("delete", kind, "--all")
    site.is_open()


def test_a_policy_blocks_everyone_then_lets_one_client_through(site: Site) -> None:
    site.namespace.apply(policy("deny", ingress=[]))
    site.blocked("stranger", "guarded")
    site.blocked("friend", "guarded")
    site.allowed("stranger", "open")

    friend = {"from": [{"podSelector": {"matchLabels": {"role": "friend"}}}], "ports": [{"port": PORT}]}
    site.namespace.apply(policy("allow-friend", ingress=[friend]))
    site.allowed("friend", "guarded")
    site.blocked("stranger", "guarded")

    site.namespace.remove("networkpolicy", "allow-friend")
    site.blocked("friend", "guarded")
    site.namespace.remove("networkpolicy", "deny")
    site.allowed("stranger", "guarded")


def test_a_policy_counts_ports(site: Site) -> None:
    site.namespace.apply(policy("other-port", ingress=[{"ports": [{"port": PORT + 1}]}]))
    site.blocked("friend", "guarded")
    site.namespace.apply(policy("other-port", ingress=[{"ports": [{"port": PORT}]}]))
    site.allowed("friend", "guarded")


def test_a_policy_blocks_what_a_pod_sends(site: Site) -> None:
    to_open = {"to": [{"podSelector": {"matchLabels": {"app": "open"}}}]}
    site.namespace.apply(policy("only-to-open", app="stranger", egress=[to_open]))
    site.blocked("stranger", "guarded")
    site.allowed("stranger", "open")
    site.allowed("friend", "guarded")


def test_a_global_policy_of_calico_blocks_and_allows(site: Site) -> None:
    site.namespace.apply(global_policy(site, {"action": "Deny"}))
    site.blocked("friend", "guarded")
    site.blocked("stranger", "guarded")
    site.allowed("stranger", "open")

    friend = {"action": "Allow", "source": {"selector": "role == 'friend'"}}
    site.namespace.apply(global_policy(site, friend, {"action": "Deny"}))
    site.allowed("friend", "guarded")
    site.blocked("stranger", "guarded")


def policy(name: str, app: str = "guarded", **rules: Any) -> Object:
    """A NetworkPolicy for the pods `app` with rules for the directions given."""
    spec = {
        "podSelector": {"matchLabels": {"app": app}},
        "policyTypes": [direction.title() for direction in rules],
        **rules,
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }


GLOBAL_POLICIES = "globalnetworkpolicies.crd.projectcalico.org"


def global_policy(site: Site, *rules: Object) -> Object:
    """A GlobalNetworkPolicy with ingress rules for `guarded`."""
    namespace = f"projectcalico.org/namespace == '{site.namespace.name}'"
    return {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "GlobalNetworkPolicy",
        "metadata": {"name": "guard"},
        "spec": {
            "selector": f"app == 'guarded' && {namespace}",
            "types": ["Ingress"],
            "ingress": list(rules),
        },
    }
