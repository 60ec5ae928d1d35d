"""What roles allow that can be turned into more; ``tests/contract/addons/grants.toml`` says who needs it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parent / "contract/addons/grants.toml"

ROLE_KINDS = ("ClusterRole", "Role")
BINDING_KINDS = ("ClusterRoleBinding", "RoleBinding")
ESCALATING = frozenset(("escalate", "bind", "impersonate"))
SENSITIVE = frozenset(
    ("serviceaccounts/token", "nodes/proxy", "pods/exec", "pods/attach", "pods/ephemeralcontainers")
)
"""Resources of the core group that make their holder somebody else."""


def dangers(role: Mapping[str, Any]) -> Iterator[str]:
    """The permissions of a role that need a reason, as ``<group>/<resource>[<names>] <verb>``."""
    for rule in role.get("rules") or ():
        names = f"[{','.join(rule['resourceNames'])}]" if rule.get("resourceNames") else ""
        for group in rule.get("apiGroups") or ("",):
            for resource in rule.get("resources") or rule.get("nonResourceURLs") or ():
                for verb in rule["verbs"]:
                    if _is_dangerous(group, resource, verb, named=bool(names)):
                        yield f"{group or 'core'}/{resource}{names} {verb}"


def _is_dangerous(group: str, resource: str, verb: str, *, named: bool) -> bool:
    if "*" in (group, resource, verb) or resource.endswith("/*") or verb in ESCALATING:
        return True
    secrets = resource == "secrets" and not named
    return group == "" and (secrets or resource in SENSITIVE)


def foreign_roles(objects: Iterable[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Bindings among `objects` to roles that are not among them: binding and role."""
    there = [each for each in objects if each["kind"] in ROLE_KINDS + BINDING_KINDS]
    own = {(each["kind"], each["metadata"]["name"]) for each in there}
    return {
        (each["metadata"]["name"], each["roleRef"]["name"])
        for each in there
        if each["kind"] in BINDING_KINDS and (each["roleRef"]["kind"], each["roleRef"]["name"]) not in own
    }


def told_dangers(source: str, objects: Iterable[Mapping[str, Any]]) -> set[tuple[str, str, str]]:
    """Source, role and permission of everything that needs a reason."""
    return {
        (source, each["metadata"]["name"], danger)
        for each in objects
        if each["kind"] in ROLE_KINDS
        for danger in dangers(each)
    }


def allowed_permissions(source: str) -> set[tuple[str, str, str]]:
    """The rows of the table about roles of `source`."""
    return {
        (source, row["role"], permission)
        for row in rows(source)
        if "role" in row
        for permission in row["permissions"]
    }


def allowed_bindings(source: str) -> set[tuple[str, str]]:
    """The rows of the table about bindings of `source` to roles of Kubernetes."""
    return {(row["binding"], row["to"]) for row in rows(source) if "binding" in row}


def rows(source: str = "") -> list[dict[str, Any]]:
    """All rows, or those of one source."""
    grants: list[dict[str, Any]] = tomllib.loads(TABLE.read_text())["grant"]
    return [row for row in grants if source in ("", row["source"])]
