"""The JSON schema of config.yaml, made from the table of flags; editors check and complete with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rke2.config.flag import Flag, FlagKind
from rke2.config.flags import FLAGS

Schema = dict[str, Any]

_SCALARS: Mapping[FlagKind, list[str]] = {
    FlagKind.BOOL: ["boolean"],
    FlagKind.INT: ["integer"],
    FlagKind.DURATION: ["string"],
    FlagKind.STRING: ["string", "number"],
}


def config_schema() -> Schema:
    """The schema of the configuration file of servers and agents; unknown keys do not validate."""
    properties: dict[str, Schema] = {}
    for flag in FLAGS:
        if flag.file:
            properties.setdefault(flag.name, _property(flag))
    item: Schema = {"type": ["string", "number", "boolean"]}
    appending: Schema = {
        "description": "Append to the value of an earlier file.",
        "anyOf": [item, {"type": "array", "items": item}],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rke2 config.yaml",
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": properties,
        "patternProperties": {f"^({'|'.join(properties)})\\+$": appending},
    }


def _property(flag: Flag) -> Schema:
    known: Schema = {"description": _describe(flag), **_type(flag)}
    if flag.default is not None and flag.kind is not FlagKind.DURATION:
        known["default"] = flag.default
    return known


def _type(flag: Flag) -> Schema:
    if flag.kind is FlagKind.LIST:
        item: Schema = {"type": ["string", "number"]}
        return {"anyOf": [item, {"type": "array", "items": item}, {"type": "null"}]}
    if flag.choices and not flag.split:
        return {"enum": [*flag.choices, None]}
    return {"type": [*_SCALARS[flag.kind], "null"]}


def _describe(flag: Flag) -> str:
    if flag.refused:
        return f"{flag.help}. Refused: {flag.refused[0]}."
    return f"{flag.help}." if flag.supported else f"{flag.help}. Not supported yet."
