"""Object sets: the marks by which a controller knows the objects it applied (wrangler's format, byte for byte).

Every object carries who owns it (annotations), a hash of that to select by (label) and a copy of itself as it was
applied (annotation), from which the next apply learns which fields to remove. ownerReferences play no part in it.
"""

from __future__ import annotations

import base64
import binascii
import copy
import gzip
import hashlib
import zlib
from dataclasses import dataclass
from typing import Any

import msgspec

from rke2.addons.gojson import go_json
from rke2.kube.objects import GVK, Object, annotations_of, key_of, labels_of, metadata

PREFIX = "objectset.rio.cattle.io"
LABEL_HASH = f"{PREFIX}/hash"
LABEL_PRUNE = f"{PREFIX}/prune"
ID, OWNER_GVK, OWNER_NAME, OWNER_NAMESPACE, APPLIED = (
    f"{PREFIX}/{key}" for key in ("id", "owner-gvk", "owner-name", "owner-namespace", "applied")
)

TRUNCATED_LENGTH = 64
"""Longer strings are cut in the applied copy: it only serves to find removed fields."""

UNTRUNCATED = frozenset(
    (
        "apiVersion",
        "containerPort",
        "devicePath",
        "ip",
        "kind",
        "mountPath",
        "name",
        "port",
        "topologyKey",
        "type",
    )
)
"""Fields of list entries that identify them and are kept whole."""


@dataclass(frozen=True)
class Owner:
    """Who applies a set of objects.

    Args:
        set_id: tells several sets of one owner apart; empty for Addons.
    """

    gvk: GVK
    namespace: str
    name: str
    set_id: str = ""

    @classmethod
    def of(cls, obj: Object, set_id: str = "") -> Owner:
        return cls(GVK.of(obj), *key_of(obj), set_id)

    @property
    def hash(self) -> str:
        """Value of the label all objects of the set have."""
        text = f"{self.set_id}{self.gvk}{self.name}{self.namespace}"
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    @property
    def selector(self) -> str:
        return f"{LABEL_HASH}={self.hash}"

    @property
    def annotations(self) -> dict[str, str]:
        return {
            ID: self.set_id,
            OWNER_GVK: str(self.gvk),
            OWNER_NAME: self.name,
            OWNER_NAMESPACE: self.namespace,
        }


def marked(obj: Object, owner: Owner) -> Object:
    """A copy of `obj` with the marks of `owner`, ready to be created."""
    desired = copy.deepcopy(obj)
    desired.pop("status", None)
    meta = desired.setdefault("metadata", {})
    meta.pop("creationTimestamp", None)
    annotations = {**annotations_of(desired), **owner.annotations}
    annotations.pop(APPLIED, None)
    meta["annotations"] = annotations
    meta["labels"] = {**labels_of(desired), LABEL_HASH: owner.hash}
    annotations[APPLIED] = encode_applied(desired)
    return desired


def is_prunable(live: Object) -> bool:
    return labels_of(live).get(LABEL_PRUNE) != "false"


def encode_applied(obj: Object) -> str:
    """The value of the ``applied`` annotation: sorted JSON, gzip, base64 without padding."""
    content = go_json(truncated(obj))
    return base64.b64encode(gzip.compress(content, mtime=0)).rstrip(b"=").decode()


def applied_of(live: Object) -> Object:
    """The applied copy an object carries; empty if it has none that can be read."""
    text = (metadata(live).get("annotations") or {}).get(APPLIED, "")
    try:
        content = text.encode() if text.startswith("{") else _gunzip(text)
        applied = msgspec.json.decode(content)
    except (binascii.Error, OSError, EOFError, zlib.error, msgspec.DecodeError):
        return {}
    return applied if isinstance(applied, dict) else {}


def _gunzip(text: str) -> bytes:
    return gzip.decompress(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))


def truncated(value: Any, *, entry: bool = False) -> Any:
    """`value` with long strings of its maps cut.

    Args:
        entry: `value` is an entry of a list, whose identifying fields stay whole.
    """
    if isinstance(value, dict):
        return {key: _truncated_field(key, inner, entry) for key, inner in value.items()}
    if isinstance(value, list):
        return [truncated(inner, entry=True) for inner in value]
    return value


def _truncated_field(key: str, value: Any, entry: bool) -> Any:
    if not isinstance(value, str):
        return truncated(value)
    return value if entry and key in UNTRUNCATED else value[:TRUNCATED_LENGTH]
