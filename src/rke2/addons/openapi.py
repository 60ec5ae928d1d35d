"""Words of which the schemas of custom resources are made, and a definition around them."""

from __future__ import annotations

from typing import Any

from rke2.kube.objects import Object
from rke2.kube.resources import CRDS, Resource

Schema = dict[str, Any]


def string(description: str = "", **more: Any) -> Schema:
    return described({"type": "string", **more}, description)


def boolean(description: str = "") -> Schema:
    return described({"type": "boolean"}, description)


def integer(width: str, description: str = "") -> Schema:
    return described({"type": "integer", "format": width}, description)


def array(items: Schema, description: str = "", **more: Any) -> Schema:
    return described({"type": "array", "items": items, **more}, description)


def mapping(values: Schema, description: str = "") -> Schema:
    return described({"type": "object", "additionalProperties": values}, description)


def struct(
    properties: dict[str, Schema], description: str = "", required: tuple[str, ...] = (), **more: Any
) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, **more}
    if required:
        schema["required"] = list(required)
    return described(schema, description)


def strings(*names: str) -> dict[str, Schema]:
    return {name: string() for name in names}


def reference(description: str) -> Schema:
    """A LocalObjectReference."""
    return struct({"name": string(default="")}, description, **ATOMIC_MAP)


def described(schema: Schema, description: str) -> Schema:
    return {"description": description, **schema} if description else schema


INT_OR_STRING: Schema = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "x-kubernetes-int-or-string": True,
}
ANYTHING: Schema = {"x-kubernetes-preserve-unknown-fields": True}
ATOMIC: Schema = {"x-kubernetes-list-type": "atomic"}
BY_TYPE: Schema = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
ATOMIC_MAP: Schema = {"x-kubernetes-map-type": "atomic"}


def column(name: str, path: str, kind: str = "string", priority: int = 0) -> Schema:
    shown: Schema = {"name": name, "jsonPath": path, "type": kind}
    return {**shown, "priority": priority} if priority else shown


def definition(
    resource: Resource,
    spec: Schema,
    *,
    status: Schema | None = None,
    subresource: bool = False,
    columns: tuple[Schema, ...] = (),
    short: str = "",
) -> Object:
    gvk = resource.gvk
    properties: dict[str, Schema] = {
        "apiVersion": string(),
        "kind": string(),
        "metadata": {"type": "object"},
        "spec": spec,
    }
    if status is not None:
        properties["status"] = status
    version: Schema = {
        "name": gvk.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": struct(properties)},
    }
    if subresource:
        version["subresources"] = {"status": {}}
    if columns:
        version["additionalPrinterColumns"] = list(columns)
    names: Schema = {
        "kind": gvk.kind,
        "listKind": f"{gvk.kind}List",
        "plural": resource.plural,
        "singular": gvk.kind.lower(),
    }
    if short:
        names["shortNames"] = [short]
    return {
        "apiVersion": CRDS.gvk.api_version,
        "kind": CRDS.gvk.kind,
        "metadata": {"name": f"{resource.plural}.{gvk.group}"},
        "spec": {
            "group": gvk.group,
            "names": names,
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "versions": [version],
        },
    }
