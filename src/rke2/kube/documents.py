"""Manifests as Kubernetes reads them: YAML the way Go's library understands it (`rke2.goyaml`), or JSON."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
import yaml

from rke2 import goyaml
from rke2.errors import RKE2Error
from rke2.kube.objects import Object


class ManifestError(RKE2Error):
    """A document is not YAML, or is not a Kubernetes object."""


def load_documents(text: str | bytes) -> list[Any]:
    """All non-empty documents of a YAML stream.

    Raises:
        ManifestError: the text is not YAML; the message has line and column.
    """
    if text.lstrip()[:1] in ("{", b"{"):
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            return [msgspec.json.decode(text)]  # YAML has no surrogate pairs, JSON has
    try:
        return [document for document in goyaml.load_all(text) if document is not None]
    except goyaml.Error as error:
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
