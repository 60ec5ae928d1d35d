"""The hash of a Plan: a node whose label has it is done (upstream's, so that labels of its controller stay valid)."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from rke2.kube.objects import Object, annotations_of, name_of
from rke2.rollout.names import DIGEST
from rke2.rollout.plan import PlanSpec

_SAFE = str.maketrans("013ae", "ghkmt")
"""kubectl writes no vowels, and nothing that looks like one, into such a hash."""


def digest(plan: Object, spec: PlanSpec, latest: str, secrets: Mapping[str, Object]) -> str:
    """``status.latestHash``.

    Args:
        latest: ``status.latestVersion``.
        secrets: those of the Plan's namespace, by name.
    """
    found = hashlib.sha224((latest + spec.service_account_name).encode())
    for entry in filter(None, annotations_of(plan).get(DIGEST, "").split(",")):
        found.update(_text(_value(plan, entry.split("."))).encode())
    for each in spec.secrets:
        if not each.ignore_updates and each.name in secrets:
            found.update(secret_hash(secrets[each.name]).encode())
    return found.hexdigest()


def _value(obj: Any, path: list[str]) -> Any:
    for part in path:
        obj = obj.get(part) if isinstance(obj, Mapping) else None
    return obj


def _text(value: Any) -> str:
    """A field as text. Lists and maps are written as JSON, not as Go prints them: the hash differs from upstream's."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))


def secret_hash(secret: Object) -> str:
    """The hash of a Secret's content, as kubectl's kustomize appends it to names."""
    data = {key: base64.b64encode(base64.b64decode(value)).decode() for key, value in _data(secret).items()}
    content: dict[str, Any] = {
        "kind": "Secret",
        "type": secret.get("type", ""),
        "name": name_of(secret),
        "data": data,
    }
    if secret.get("immutable") is not None:
        content["immutable"] = secret["immutable"]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:10].translate(_SAFE)


def _data(secret: Object) -> Mapping[str, str]:
    return secret.get("data") or {}
