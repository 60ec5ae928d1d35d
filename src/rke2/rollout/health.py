"""Whether a server may be taken down: asked of etcd's members and of every API server, just before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from rke2.config.model import APISERVER_PORT
from rke2.datastore.requests import MemberRequests
from rke2.errors import EtcdError, KubeError
from rke2.etcd.messages import Member
from rke2.host.addresses import host_port
from rke2.kube.client import Client
from rke2.kube.nodes import CONTROL_PLANE_ROLE, internal_address
from rke2.kube.objects import Object, labels_of, name_of

SECONDS = 5.0
"""For each answer."""


async def trouble(client: Client, etcd: MemberRequests, nodes: Iterable[Object]) -> str:
    """What speaks against it; empty if nothing does.

    A server that is away takes a member and an API server with it. With all of them well, three members keep their
    quorum; one or two have none to lose that waiting would save.
    """
    servers = [node for node in nodes if CONTROL_PLANE_ROLE in labels_of(node)]
    found = await asyncio.gather(_members(etcd), *(_apiserver(client, node) for node in servers))
    return "; ".join(filter(None, found))


async def _members(etcd: MemberRequests) -> str:
    try:
        members = await etcd.members(timeout=SECONDS)
    except (EtcdError, TimeoutError) as error:
        return f"etcd does not answer: {error}"
    return "; ".join(filter(None, await asyncio.gather(*(_member(etcd, each) for each in members))))


async def _member(etcd: MemberRequests, member: Member) -> str:
    name = f"etcd member {member.name or 'without a name'}"
    if member.is_learner:
        return f"{name} is a learner, which has no vote yet"
    try:
        for url in member.client_urls:
            await etcd.status(url, timeout=SECONDS)
    except (EtcdError, TimeoutError) as error:
        return f"{name} does not answer: {error}"
    return "" if member.client_urls else f"{name} was not started yet"


async def _apiserver(client: Client, node: Object) -> str:
    url = f"https://{host_port(internal_address(node), APISERVER_PORT)}"
    try:
        async with asyncio.timeout(SECONDS):
            await client.at(url).raw("/readyz")
    except (KubeError, TimeoutError) as error:
        return f"the API server of {name_of(node)} is not ready: {error or 'no answer'}"
    return ""
