"""Unstructured Kubernetes objects: plain dicts, and the few accessors everyone needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Object = dict[str, Any]
"""A decoded Kubernetes object."""


class Key(NamedTuple):
    """Where an object is; `namespace` is empty for cluster-scoped ones."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, order=True)
class GVK:
    """Group, version and kind; the core group is the empty string."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        """The form Go prints, which object-set and Addon annotations hold."""
        return f"{self.group}/{self.version}, Kind={self.kind}"

    @classmethod
    def parse(cls, text: str) -> GVK:
        """Read what `__str__` writes.

        Raises:
            ValueError: `text` has another form.
        """
        group_version, comma, kind = text.partition(", Kind=")
        group, slash, version = group_version.rpartition("/")
        if not (comma and slash and kind and version):
            raise ValueError(f"{text!r} is not of the form group/version, Kind=kind")
        return cls(group, version, kind)

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> GVK:
        """Raises KeyError if `obj` has no apiVersion or kind."""
        group, _, version = str(obj["apiVersion"]).rpartition("/")
        return cls(group, version, str(obj["kind"]))


def metadata(obj: Mapping[str, Any]) -> dict[str, Any]:
    return obj.get("metadata") or {}


def name_of(obj: Mapping[str, Any]) -> str:
    return str(metadata(obj).get("name") or "")


def namespace_of(obj: Mapping[str, Any]) -> str:
    return str(metadata(obj).get("namespace") or "")


def key_of(obj: Mapping[str, Any]) -> Key:
    return Key(namespace_of(obj), name_of(obj))


def age_of(obj: Mapping[str, Any]) -> tuple[str, str]:
    """When an object was created, and its uid to decide within a second: the oldest is the smallest."""
    return str(metadata(obj).get("creationTimestamp", "")), str(metadata(obj).get("uid", ""))


def annotations_of(obj: Mapping[str, Any]) -> dict[str, str]:
    return metadata(obj).get("annotations") or {}


def labels_of(obj: Mapping[str, Any]) -> dict[str, str]:
    return metadata(obj).get("labels") or {}


def condition_is_true(obj: Mapping[str, Any], kind: str) -> bool:
    """Whether ``status.conditions`` has one of type `kind` that is True."""
    conditions = (obj.get("status") or {}).get("conditions") or []
    return any(c.get("type") == kind and c.get("status") == "True" for c in conditions)
