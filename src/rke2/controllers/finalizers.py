"""Finalizers on Nodes, changed only if nobody changed the Node meanwhile."""

from __future__ import annotations

from collections.abc import Collection

from rke2.errors import KubeError
from rke2.kube.client import Client
from rke2.kube.objects import Object, metadata, name_of
from rke2.kube.resources import NODES

ABANDONED = frozenset({"wrangler.cattle.io/node", "wrangler.cattle.io/cisnetworkpolicy-node"})
"""Of handlers that run in earlier releases only (controllers reference §5, §10.2).

With one of them and nobody to take it away, a Node could never be deleted.
"""


def finalizers_of(obj: Object) -> list[str]:
    return list(metadata(obj).get("finalizers") or ())


async def add(client: Client, node: Object, finalizer: str) -> None:
    """Raises KubeError: 409 if the Node is another one by now."""
    await _set(client, node, [*finalizers_of(node), finalizer])


async def drop(client: Client, node: Object, finalizers: Collection[str]) -> None:
    """Take `finalizers` away; a Node that is gone has none.

    Raises:
        KubeError: 409 if the Node is another one by now.
    """
    kept = [finalizer for finalizer in finalizers_of(node) if finalizer not in finalizers]
    try:
        await _set(client, node, kept)
    except KubeError as error:
        if error.status != 404:
            raise


async def _set(client: Client, node: Object, finalizers: list[str]) -> None:
    known = {key: metadata(node)[key] for key in ("uid", "resourceVersion")}
    await client.patch(NODES, name_of(node), {"metadata": {**known, "finalizers": finalizers or None}})
