"""Pods of the host network under ``profile: cis`` with flannel: work of the leader of ``rke2`` (day2 reference §9.3).

What a host of another node sends to a pod comes through flannel, from the first address of that node's pod network:
the kubelet's probes do not, but pods of the host network do, and the API server where it reaches pods itself. A policy
that allows pods of a namespace only would stop them. So another one allows these addresses, and follows the Nodes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any

from rke2.controllers.guarded_namespaces import GUARDED
from rke2.kube.client import Client
from rke2.kube.informer import Informer
from rke2.kube.objects import Object, annotations_of
from rke2.kube.persistence import persist
from rke2.kube.resources import NETWORK_POLICIES, NODES

NAME = "rke2-flannel-host-networking"
_FLANNEL = "flannel.alpha.coreos.com/public-ip"


class FlannelHosts:
    """One term of leadership."""

    def __init__(self, client: Client) -> None:
        self._client, self._nodes = client, Informer(client, NODES)
        self._changed = asyncio.Event()
        self._nodes.listen(lambda change: self._changed.set())

    async def run(self) -> None:
        """Follow the Nodes until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._nodes.run(), name="nodes")
            await self._nodes.synced()
            while True:
                self._changed.clear()
                await persist("network policies for hosts", self.apply)
                await self._changed.wait()

    async def apply(self) -> None:
        """Bring the policies in step once.

        Raises:
            KubeError: the API server refuses or does not answer.
        """
        wanted = allowed(self._nodes.objects.values())
        for namespace in GUARDED:
            await self._apply(namespace, wanted)

    async def _apply(self, namespace: str, wanted: dict[str, Any]) -> None:
        live = await self._client.find(NETWORK_POLICIES, NAME, namespace)
        if live is None:
            await self._client.create(NETWORK_POLICIES, policy(namespace, wanted))
            return
        ingress = live["spec"].get("ingress") or [{}]
        if ingress[0] != wanted:  # further rules are the operator's
            await self._client.update(
                NETWORK_POLICIES, {**live, "spec": {**live["spec"], "ingress": [wanted, *ingress[1:]]}}
            )


def policy(namespace: str, allowed: dict[str, Any]) -> Object:
    """The policy in `namespace`."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [allowed]},
    }


def allowed(nodes: Iterable[Object]) -> dict[str, Any]:
    """The rule for what hosts of `nodes` send through flannel."""
    addresses = sorted(
        _first(network)
        for node in nodes
        if _FLANNEL in annotations_of(node)
        for network in (node.get("spec") or {}).get("podCIDRs") or ()
    )
    return {"from": [{"ipBlock": {"cidr": address}} for address in addresses]}


def _first(network: str) -> str:
    found = ip_network(network, strict=False)
    return f"{found.network_address}/{found.max_prefixlen}"
