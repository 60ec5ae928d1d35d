"""What ``profile: cis`` closes in the namespaces that every cluster has (day2 reference §9.3, §9.4).

Network policies: pods answer pods of their own namespace, and everybody at the ports by which a packaged component is
used. ServiceAccounts: a pod that says nothing gets no token.

A policy is made once, and the namespace is annotated with that: what an operator changes or deletes later stays so.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rke2.kube.client import Client
from rke2.kube.objects import Object, annotations_of
from rke2.kube.resources import NAMESPACES, NETWORK_POLICIES, SERVICE_ACCOUNTS

log = logging.getLogger(__name__)

SYSTEM = "kube-system"
GUARDED = (SYSTEM, "default", "kube-public")
WITHOUT_TOKENS = (*GUARDED, "kube-node-lease")
_DONE = "resolved"

Port = tuple[str, int | str]


@dataclass(frozen=True)
class NamespacePolicy:
    """One policy.

    Args:
        key: annotation of policy and namespace.
        selects: labels of the pods; empty for all.
        ports: protocol and port by which everybody may come; empty for every port, to pods of the namespace.
    """

    name: str
    key: str
    namespaces: tuple[str, ...] = (SYSTEM,)
    selects: tuple[tuple[str, str], ...] = ()
    ports: tuple[Port, ...] = ()

    def policy(self, namespace: str) -> Object:
        """The object in `namespace`."""
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": self.name, "namespace": namespace, "annotations": {self.key: _DONE}},
            "spec": {
                "podSelector": {"matchLabels": dict(self.selects)} if self.selects else {},
                "policyTypes": ["Ingress"],
                "ingress": [self._allowed()],
            },
        }

    def _allowed(self) -> dict[str, Any]:
        if not self.ports:
            return {"from": [{"podSelector": {}}]}
        return {"ports": [{"protocol": protocol, "port": port} for protocol, port in self.ports]}


def _component(what: str, selects: tuple[str, str], *ports: Port) -> NamespacePolicy:
    return NamespacePolicy(
        f"default-network-{what}-policy", f"np.rke2.io/{what}", selects=(selects,), ports=ports
    )


_NAME = "app.kubernetes.io/name"

GUARDS = (
    NamespacePolicy("default-network-policy", "np.rke2.io", GUARDED),
    _component("dns", ("k8s-app", "kube-dns"), ("TCP", 53), ("UDP", 53)),
    _component("ingress", (_NAME, "rke2-ingress-nginx"), ("TCP", "http"), ("TCP", "https")),
    _component("ingress-webhook", (_NAME, "rke2-ingress-nginx"), ("TCP", "webhook")),
    _component("traefik", (_NAME, "rke2-traefik"), ("TCP", "web"), ("TCP", "websecure")),
    _component("snapshot-validation-webhook", (_NAME, "rke2-snapshot-validation-webhook"), ("TCP", "https")),
    _component("metrics-server", ("app", "rke2-metrics-server"), ("TCP", "https")),
)


async def guard(client: Client) -> None:
    """Do all of it; what is done already is left.

    Raises:
        KubeError: the API server refuses or does not answer, or a namespace or ServiceAccount is not there yet. What
            was done stays, so the next attempt goes on.
    """
    log.info("Applying network policies...")
    for each in GUARDS:
        for namespace in each.namespaces:
            await _apply(client, each, namespace)
    log.info("Applying network policies complete")
    for namespace in WITHOUT_TOKENS:
        await client.patch(
            SERVICE_ACCOUNTS, "default", {"automountServiceAccountToken": False}, namespace=namespace
        )
    log.info("Restricting automount for default serviceAccounts complete")


async def _apply(client: Client, wanted: NamespacePolicy, namespace: str) -> None:
    if wanted.key in annotations_of(await client.get(NAMESPACES, namespace)):
        return
    await client.delete(NETWORK_POLICIES, wanted.name, namespace)
    await client.create(NETWORK_POLICIES, wanted.policy(namespace))
    # Last: a start that is cut off before this makes the policy again.
    note: Mapping[str, Any] = {"metadata": {"annotations": {wanted.key: _DONE}}}
    await client.patch(NAMESPACES, namespace, note)
