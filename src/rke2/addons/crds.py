"""Bringing the CustomResourceDefinitions up to date at start, and waiting until the API serves them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rke2.addons.schemas import ALL
from rke2.kube.client import Client
from rke2.kube.objects import Object, condition_is_true, metadata, name_of
from rke2.kube.resources import CRDS
from rke2.kube.watch import watch


async def ensure_crds(client: Client, definitions: Sequence[Object] = ALL) -> None:
    """Create or update `definitions` and return when all are established.

    Raises:
        KubeError: the API refused one or does not answer.
    """
    await asyncio.gather(*(_ensure(client, definition) for definition in definitions))


async def _ensure(client: Client, definition: Object) -> None:
    name = name_of(definition)
    live = await client.find(CRDS, name)
    if live is None:
        live = await client.create(CRDS, definition)
    elif any(live["spec"].get(key) != value for key, value in definition["spec"].items()):
        live = await client.patch(CRDS, name, {"spec": definition["spec"]})
    while not condition_is_true(live, "Established"):
        live = await _next_version(client, live)


async def _next_version(client: Client, live: Object) -> Object:
    version = metadata(live)["resourceVersion"]
    selector = f"metadata.name={name_of(live)}"
    async with watch(client, CRDS, resource_version=version, field_selector=selector) as events:
        async for kind, changed in events:
            if kind != "BOOKMARK":
                return changed
    return await client.get(CRDS, name_of(live))
