"""Manifests as Kubernetes reads them: YAML 1.1 the way Go's YAML library understands it, or JSON.

PyYAML differs from Go where it would change meaning: timestamps stay strings, ``22:22`` is a string and not a
number in base 60, ``1e3`` is a number, and keys that are not strings become strings (``on: x``, ``1: x``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from rke2.errors import RKE2Error
from rke2.kube.objects import Object

if TYPE_CHECKING:
    from yaml import SafeLoader as _BaseLoader
else:
    _BaseLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ManifestError(RKE2Error):
    """A document is not YAML, or is not a Kubernetes object."""


class _Loader(_BaseLoader):
    """The safe loader with Go's scalar rules."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own protocol
        first: [
            (tag, pattern) for tag, pattern in resolvers if tag.rsplit(":", 1)[1] in ("bool", "null", "merge")
        ]
        for first, resolvers in _BaseLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        return {_key(key): value for key, value in super().construct_mapping(node, deep).items()}


def _key(key: object) -> object:
    """Go turns keys into strings when it makes JSON of a document."""
    if isinstance(key, bool):
        return str(key).lower()
    return str(key) if isinstance(key, int | float) else key


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
    ),
    list("-+.0123456789"),
)


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = node.value.replace("_", "").lower()
    digits = text.lstrip("+-")
    base = {"0b": 2, "0x": 16, "0o": 8}.get(digits[:2]) or (8 if digits[0] == "0" and len(digits) > 1 else 10)
    return int(text.replace("0o", "", 1) if base == 8 else text, base)


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)


def load_documents(text: str | bytes) -> list[Any]:
    """All non-empty documents of a YAML stream.

    Raises:
        ManifestError: the text is not YAML; the message has line and column.
    """
    if text.lstrip()[:1] in ("{", b"{"):
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            return [msgspec.json.decode(text)]  # YAML has no surrogate pairs, JSON has
    try:
        return [document for document in yaml.load_all(text, Loader=_Loader) if document is not None]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ManifestError(_one_line(error)) from error


def _one_line(error: Exception) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())
    mark = error.problem_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}"
    return ": ".join(filter(None, (where, " ".join(filter(None, (error.context, error.problem))))))


def load_manifest(text: str | bytes) -> list[Object]:
    """The Kubernetes objects in a manifest; ``List`` kinds are expanded one level.

    Raises:
        ManifestError: not YAML, or a document without apiVersion, kind or name.
    """
    return [item for document in load_documents(text) for item in _expanded(document)]


def _expanded(document: Any) -> Iterator[Object]:
    obj = _checked(document)
    if obj["kind"].endswith("List") and isinstance(obj.get("items"), list):
        yield from (_named(_checked(item)) for item in obj["items"])
    else:
        yield _named(obj)


def _checked(document: Any) -> Object:
    if not isinstance(document, dict):
        raise ManifestError(f"a document is a {type(document).__name__}, not a Kubernetes object")
    missing = [
        key for key in ("apiVersion", "kind") if not isinstance(document.get(key), str) or not document[key]
    ]
    if missing:
        raise ManifestError(f"a document has no {' and no '.join(missing)}")
    return document


def _named(obj: Object) -> Object:
    meta = obj.get("metadata")
    if not isinstance(meta, dict) or not isinstance(meta.get("name"), str) or not meta["name"]:
        raise ManifestError(f"a {obj['kind']} has no metadata.name")
    return obj
