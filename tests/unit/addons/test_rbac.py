from __future__ import annotations

from typing import Any

import pytest

from rke2.addons.rbac import ROLES, covered

WANTED = {"apiGroups": [""], "resources": ["nodes", "pods"], "verbs": ["get", "list"]}


def rule(
    groups: str = "", resources: str = "nodes,pods", verbs: str = "get,list", **more: Any
) -> dict[str, Any]:
    return {
        "apiGroups": groups.split(","),
        "resources": resources.split(","),
        "verbs": verbs.split(","),
        **more,
    }


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], False),
        ([rule()], True),
        ([rule(verbs="*")], True),
        ([rule("*", "*", "*")], True),
        ([rule(resources="nodes"), rule(resources="pods")], True),
        ([rule(resources="nodes")], False),
        ([rule(verbs="get")], False),
        ([rule("apps")], False),
        ([rule(resourceNames=["n1"])], False),
        ([{"nonResourceURLs": ["*"], "verbs": ["*"]}], False),
    ],
)
def test_coverage(rules: list[dict[str, Any]], expected: bool) -> None:
    assert covered(WANTED, rules) is expected


def test_every_role_covers_itself() -> None:
    assert all(covered(wanted, rules) for rules in ROLES.values() for wanted in rules)
