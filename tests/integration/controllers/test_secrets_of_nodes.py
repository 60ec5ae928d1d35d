"""Node-password Secrets against the real API server and its garbage collector."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from rke2.controllers import node_passwords as module
from rke2.controllers.node_passwords import NodePasswordController
from rke2.join.node_password import SECRET_NAMESPACE, SECRET_SUFFIX, SECRET_TYPE
from rke2.kube.client import Client
from rke2.kube.objects import Object, metadata
from rke2.kube.resources import NODES, SECRETS
from tests.integration.running import running

from .waiting import eventually

pytestmark = [pytest.mark.root, pytest.mark.content]


async def add_secret(client: Client, node: str, kind: str = SECRET_TYPE) -> Object:
    return await client.create(
        SECRETS,
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": node + SECRET_SUFFIX, "namespace": SECRET_NAMESPACE},
            "type": kind,
            "immutable": True,
            "data": {"hash": "JDE6"},
        },
    )


async def add_node(client: Client, name: str, *finalizers: str) -> Object:
    meta = {"name": name, "finalizers": list(finalizers)}
    return await client.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": meta})


async def secret(client: Client, node: str) -> Object | None:
    return await client.find(SECRETS, node + SECRET_SUFFIX, SECRET_NAMESPACE)


async def owned(client: Client, node: str, uid: str) -> None:
    async def look() -> bool:
        owners = metadata(await secret(client, node) or {}).get("ownerReferences") or ()
        return [owner["uid"] for owner in owners] == [uid]

    await eventually(look, f"Node {node} owns its Secret")


async def vanished(client: Client, node: str) -> None:
    async def look() -> bool:
        return await secret(client, node) is None

    await eventually(look, f"Secret of {node} is gone")


@pytest.fixture
async def passwords(client: Client) -> AsyncIterator[NodePasswordController]:
    controller = NodePasswordController(client)
    async with running(controller.run()):
        yield controller


@pytest.mark.parametrize("first", ["node", "secret"])
async def test_a_secret_goes_with_its_node(
    client: Client, passwords: NodePasswordController, first: str
) -> None:
    name = f"owner-{first}"
    if first == "secret":
        await add_secret(client, name)
        node = await add_node(client, name)
    else:
        node = await add_node(client, name)
        await add_secret(client, name)
    await owned(client, name, metadata(node)["uid"])
    await client.delete(NODES, name)
    await vanished(client, name)


async def test_secrets_of_nodes_that_never_came_are_swept(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_node(client, "came")
    for name in ("came", "never-came"):
        await add_secret(client, name)
    monkeypatch.setattr(module, "SWEEP_SECONDS", 0.1)
    monkeypatch.setattr(module, "GRACE", timedelta(seconds=1))
    async with running(NodePasswordController(client).run()):
        await vanished(client, "never-came")
        young = await add_secret(client, "young")
        assert await secret(client, "came")
    assert await secret(client, "young") == young


async def test_an_older_release_is_taken_over(client: Client) -> None:
    finalizers = ("wrangler.cattle.io/node", "example.com/other", "wrangler.cattle.io/cisnetworkpolicy-node")
    node = await add_node(client, "older", *finalizers)
    await add_secret(client, "older", "Opaque")
    other = {"name": "other", "namespace": SECRET_NAMESPACE}
    await client.create(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": other, "type": "Opaque"})
    async with running(NodePasswordController(client).run()):

        async def retyped() -> Object | None:
            found = await secret(client, "older")
            return found if found and found["type"] == SECRET_TYPE else None

        found = await eventually(retyped, "the Secret has its new type")
        assert (found["data"], found["immutable"]) == ({"hash": "JDE6"}, True)
        await owned(client, "older", metadata(node)["uid"])

        async def stripped() -> bool:
            return metadata(await client.get(NODES, "older")).get("finalizers") == ["example.com/other"]

        await eventually(stripped, "finalizers of earlier releases are gone")
    assert (await client.get(SECRETS, "other", SECRET_NAMESPACE))["type"] == "Opaque"


async def test_a_secret_that_was_made_anew_meanwhile_is_not_deleted(client: Client) -> None:
    old = await add_secret(client, "again")
    await client.delete(SECRETS, "again" + SECRET_SUFFIX, SECRET_NAMESPACE)
    new = await add_secret(client, "again")
    await module._delete(client, old)
    assert await secret(client, "again") == new
    await module._delete(client, new)
    assert await secret(client, "again") is None
