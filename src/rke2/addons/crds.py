"""Bringing the CustomResourceDefinitions up to date at start, and waiting until the API serves them.

A definition that is there, RKE2's for example, is only given what it lacks: versions, fields and the status
subresource. What it has besides, or describes otherwise, stays. In a cluster with servers of both kinds each of them
would else write its own over the other's at each start.
"""

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
    elif (versions := completed(live["spec"]["versions"], definition["spec"]["versions"])) != live["spec"][
        "versions"
    ]:
        live = await client.patch(CRDS, name, {"spec": {"versions": versions}})
    while not condition_is_true(live, "Established"):
        live = await _next_version(client, live)


def completed(live: Sequence[Object], needed: Sequence[Object]) -> list[Object]:
    """The `live` versions of a definition with what they lack of the `needed` ones."""
    by_name = {version["name"]: version for version in needed}
    known = [_completed_version(version, by_name.pop(version["name"], None)) for version in live]
    return [*known, *by_name.values()]


def _completed_version(live: Object, needed: Object | None) -> Object:
    if needed is None:
        return live
    result = {**live, "served": True}
    if schema := needed.get("schema"):
        present = live.get("schema", {}).get("openAPIV3Schema", {})
        result["schema"] = {"openAPIV3Schema": _completed_schema(present, schema["openAPIV3Schema"])}
    if subresources := {**needed.get("subresources", {}), **live.get("subresources", {})}:
        result["subresources"] = subresources
    return result


def _completed_schema(live: Object, needed: Object) -> Object:
    """`live` with the fields of `needed` it does not have; one that keeps unknown fields lacks none."""
    if not live:
        return needed
    if live.get("x-kubernetes-preserve-unknown-fields"):
        return live
    result = dict(live)
    if "properties" in needed and "additionalProperties" not in live:
        properties = live.get("properties", {})
        missing = {name: schema for name, schema in needed["properties"].items() if name not in properties}
        inner = {
            name: _completed_schema(schema, needed["properties"].get(name, {}))
            for name, schema in properties.items()
        }
        result["properties"] = {**inner, **missing}
    if isinstance(live.get("items"), dict) and isinstance(needed.get("items"), dict):
        result["items"] = _completed_schema(live["items"], needed["items"])
    return result


async def _next_version(client: Client, live: Object) -> Object:
    version = metadata(live)["resourceVersion"]
    selector = f"metadata.name={name_of(live)}"
    async with watch(client, CRDS, resource_version=version, field_selector=selector) as events:
        async for kind, changed in events:
            if kind != "BOOKMARK":
                return changed
    return await client.get(CRDS, name_of(live))
