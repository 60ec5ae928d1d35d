"""Three-way merge of objects: what was applied, what is wanted now, what is there.

Fields of the wanted object win; fields that were applied before and are wanted no more are removed; everything
else on the live object stays. Lists are replaced as a whole, except that lists of built-in kinds whose entries
have an identity (``containers`` by name, ``ports`` by number and protocol, …) are merged entry by entry, like a
strategic merge patch does. The result goes to the server as a JSON merge patch against the live object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Identify = Callable[[Mapping[str, Any]], tuple[Any, ...] | None]


def _by(*fields: str, **defaults: str) -> Identify:
    """Identity by `fields` (all required) and `defaults` (absent means that value)."""

    def identify(entry: Mapping[str, Any]) -> tuple[Any, ...] | None:
        if any(entry.get(field) in (None, "") for field in fields):
            return None
        named = tuple(entry[field] for field in fields)
        return named + tuple(entry.get(field) or value for field, value in defaults.items())

    return identify


LIST_IDENTITIES: Mapping[str, tuple[Identify, ...]] = {
    "addresses": (_by("type"),),
    "conditions": (_by("type"),),
    "containers": (_by("name"),),
    "env": (_by("name"),),
    "ephemeralContainers": (_by("name"),),
    "hostAliases": (_by("ip"),),
    "imagePullSecrets": (_by("name"),),
    "initContainers": (_by("name"),),
    "ownerReferences": (_by("uid"),),
    "ports": (_by("containerPort", protocol="TCP"), _by("port", protocol="TCP")),
    "resourceClaims": (_by("name"),),
    "schedulingGates": (_by("name"),),
    "secrets": (_by("name"),),
    "topologySpreadConstraints": (_by("topologyKey", "whenUnsatisfiable"),),
    "volumeDevices": (_by("devicePath"),),
    "volumeMounts": (_by("mountPath"),),
    "volumes": (_by("name"),),
    "webhooks": (_by("name"),),
}
"""Lists of built-in kinds that are merged by the identity of their entries (the API's patchMergeKey, with the
protocol added where the API's list map keys have it)."""

BUILT_IN_SUFFIX = ".k8s.io"
BUILT_IN_GROUPS = frozenset({"", "apps", "autoscaling", "batch", "policy"})


def is_built_in(group: str) -> bool:
    """Whether kinds of an API group are merged with `LIST_IDENTITIES`.

    CRDs of the project itself live in ``*.k8s.io`` groups too; their lists of these names have these identities.
    """
    return group in BUILT_IN_GROUPS or group.endswith(BUILT_IN_SUFFIX)


def three_way_merge(
    original: Mapping[str, Any], modified: Mapping[str, Any], current: Mapping[str, Any], *, by_identity: bool
) -> dict[str, Any]:
    """The object that should be there.

    Args:
        original: as applied last; only its structure counts, values may be truncated.
        modified: as wanted now; None as a value means that the field shall be absent.
        current: as it is.
        by_identity: merge lists entry by entry where `LIST_IDENTITIES` says how.
    """
    # What was never applied belongs to others (defaults, controllers, users) and stays.
    merged = {key: value for key, value in current.items() if key not in original or key in modified}
    for key, wanted in modified.items():
        value = _merge_value(key, original.get(key), wanted, current.get(key), by_identity)
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged


def _merge_value(key: str, original: Any, wanted: Any, current: Any, by_identity: bool) -> Any:
    if isinstance(wanted, Mapping):
        return three_way_merge(_mapping(original), wanted, _mapping(current), by_identity=by_identity)
    if isinstance(wanted, list) and isinstance(current, list) and by_identity:
        return _merge_list(key, original if isinstance(original, list) else [], wanted, current)
    return wanted


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _merge_list(key: str, original: list[Any], wanted: list[Any], current: list[Any]) -> list[Any]:
    # Several identities have one key: `ports` are those of containers or of Services.
    for identify in LIST_IDENTITIES.get(key, ()):
        before, after, live = (_indexed(identify, entries) for entries in (original, wanted, current))
        if after is not None and live is not None:
            # Where entries of `before` lack an identity, earlier ones stay: better than to remove those of others.
            return _merge_entries(before or {}, after, live)
    return wanted


def _merge_entries(
    before: Mapping[tuple[Any, ...], Any],
    after: Mapping[tuple[Any, ...], Any],
    live: Mapping[tuple[Any, ...], Any],
) -> list[Any]:
    """Wanted entries in their order, then live ones nobody applied."""
    merged = [
        three_way_merge(before.get(identity, {}), entry, live.get(identity, {}), by_identity=True)
        for identity, entry in after.items()
    ]
    return merged + [entry for key, entry in live.items() if key not in after and key not in before]


def _indexed(identify: Identify, entries: Sequence[Any]) -> dict[tuple[Any, ...], Any] | None:
    """Entries by identity; None if one has none or two have the same."""
    indexed: dict[tuple[Any, ...], Any] = {}
    for entry in entries:
        identity = identify(entry) if isinstance(entry, Mapping) else None
        if identity is None or identity in indexed:
            return None
        indexed[identity] = entry
    return indexed


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch (RFC 7386) that turns `old` into `new`; empty if they are equal."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            inner = merge_patch(before, value)
            if inner:
                patch[key] = inner
        elif key not in old or not _same(before, value):
            patch[key] = value
    return patch


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON. For Python ``1 == True``, also inside of lists."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)
