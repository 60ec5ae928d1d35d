"""Network policies and ServiceAccounts of ``profile: cis``, against the real API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rke2.controllers.flannel_hosts import NAME, FlannelHosts
from rke2.controllers.guarded_namespaces import GUARDED, GUARDS, WITHOUT_TOKENS, guard
from rke2.errors import KubeError
from rke2.kube.client import Client
from rke2.kube.objects import annotations_of, name_of
from rke2.kube.resources import NAMESPACES, NETWORK_POLICIES, NODES, SERVICE_ACCOUNTS

pytestmark = pytest.mark.content


def account(namespace: str) -> dict[str, Any]:
    meta = {"name": "default", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}


@pytest.fixture
async def accounts(client: Client) -> AsyncIterator[None]:
    """The ServiceAccounts that kube-controller-manager would make; all is gone afterwards."""
    for namespace in WITHOUT_TOKENS:
        await client.create(SERVICE_ACCOUNTS, account(namespace))
    yield
    for namespace in WITHOUT_TOKENS:
        await client.delete(SERVICE_ACCOUNTS, "default", namespace)
        for policy in (await client.list(NETWORK_POLICIES, namespace)).items:
            await client.delete(NETWORK_POLICIES, name_of(policy), namespace)
        undone: dict[str, None] = dict.fromkeys(each.key for each in GUARDS)
        await client.patch(NAMESPACES, namespace, {"metadata": {"annotations": undone}})


async def specs(client: Client, namespace: str) -> dict[str, dict[str, Any]]:
    return {name_of(each): each["spec"] for each in (await client.list(NETWORK_POLICIES, namespace)).items}


async def test_namespaces_are_closed_but_for_what_others_use(client: Client, accounts: None) -> None:
    await guard(client)
    for namespace in ("default", "kube-public"):
        [(name, spec)] = (await specs(client, namespace)).items()
        assert name == "default-network-policy"
        assert spec == {
            "podSelector": {},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {}}]}],
        }
    system = await specs(client, "kube-system")
    assert set(system) == {each.name for each in GUARDS}
    assert system["default-network-dns-policy"]["ingress"] == [
        {"ports": [{"protocol": "TCP", "port": 53}, {"protocol": "UDP", "port": 53}]}
    ]
    for namespace in WITHOUT_TOKENS:
        found = await client.get(SERVICE_ACCOUNTS, "default", namespace)
        assert found["automountServiceAccountToken"] is False


async def test_what_an_operator_changed_or_removed_stays_so(client: Client, accounts: None) -> None:
    await guard(client)
    await client.delete(NETWORK_POLICIES, "default-network-policy", "default")
    changed: dict[str, Any] = {"spec": {"ingress": [{}]}}
    await client.patch(NETWORK_POLICIES, "default-network-dns-policy", changed, namespace="kube-system")
    await guard(client)
    assert await specs(client, "default") == {}
    assert (await specs(client, "kube-system"))["default-network-dns-policy"]["ingress"] == [{}]


async def test_a_policy_of_that_name_from_before_is_made_new(client: Client, accounts: None) -> None:
    old = {**GUARDS[0].policy("default"), "spec": {"podSelector": {}, "policyTypes": ["Egress"]}}
    await client.create(NETWORK_POLICIES, old)
    await guard(client)
    assert (await specs(client, "default"))["default-network-policy"]["policyTypes"] == ["Ingress"]
    assert annotations_of(await client.get(NAMESPACES, "default"))["np.rke2.io"] == "resolved"


async def test_an_attempt_that_ended_half_way_is_gone_on_with(client: Client, accounts: None) -> None:
    await client.delete(SERVICE_ACCOUNTS, "default", "kube-public")
    with pytest.raises(KubeError):
        await guard(client)
    await client.create(SERVICE_ACCOUNTS, account("kube-public"))
    await guard(client)
    assert (await client.get(SERVICE_ACCOUNTS, "default", "kube-public"))[
        "automountServiceAccountToken"
    ] is False


async def test_hosts_come_through_flannel(client: Client, accounts: None) -> None:
    def node(name: str, *networks: str, flannel: bool = True) -> dict[str, Any]:
        notes = {"flannel.alpha.coreos.com/public-ip": "192.0.2.1"} if flannel else {}
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "annotations": notes},
            "spec": {"podCIDR": networks[0], "podCIDRs": list(networks)},
        }

    def cidrs(spec: dict[str, Any]) -> list[str]:
        return [each["ipBlock"]["cidr"] for each in spec["ingress"][0].get("from", [])]

    await client.create(NODES, node("b", "10.42.1.0/24", "fd00:42:0:1::/64"))
    await client.create(NODES, node("other", "10.42.9.0/24", flannel=False))
    following = asyncio.create_task(FlannelHosts(client).run())
    try:
        await until(client, ["10.42.1.0/32", "fd00:42:0:1::/128"], cidrs)
        await client.create(NODES, node("a", "10.42.0.0/24"))
        await until(client, ["10.42.0.0/32", "10.42.1.0/32", "fd00:42:0:1::/128"], cidrs)
        await client.delete(NODES, "b")
        await until(client, ["10.42.0.0/32"], cidrs)
    finally:
        following.cancel()
        await asyncio.wait([following])


async def until(client: Client, wanted: list[str], cidrs: Any) -> None:
    found: dict[str, list[str]] = {}
    try:
        async with asyncio.timeout(30):
            while any(found.get(namespace) != wanted for namespace in GUARDED):
                await asyncio.sleep(0.1)
                for namespace in GUARDED:
                    policies = await specs(client, namespace)
                    found[namespace] = cidrs(policies[NAME]) if NAME in policies else []
    except TimeoutError:
        assert found == dict.fromkeys(GUARDED, wanted)
