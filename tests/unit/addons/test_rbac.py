"""What rules allow, however they are grouped, and what the cluster's own users are given."""

from __future__ import annotations

from typing import Any

import pytest

from rke2.addons.granted import ROLES, cluster_role
from rke2.addons.rbac import permissions


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
    ("rules", "same"),
    [
        ([rule()], True),
        ([rule(resources="pods,nodes", verbs="list,get")], True),
        ([rule(resources="nodes"), rule(resources="pods"), rule(verbs="get")], True),
        ([], False),
        ([rule(verbs="get")], False),
        ([rule(verbs="*")], False),
        ([rule(resourceNames=["n1"])], False),
        ([rule(), {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}], False),
    ],
)
def test_rules_are_compared_by_what_they_allow(rules: list[dict[str, Any]], same: bool) -> None:
    assert (permissions(rules) == permissions([rule()])) is same


def test_every_rule_names_its_reader() -> None:
    assert all(grant.reader for grants in ROLES.values() for grant in grants)


def test_agents_see_pods_only_where_their_tunnel_needs_them() -> None:
    """A pod's manifest may hold passwords, and the certificate is every agent's."""
    listed = {
        mode: {
            resource
            for each in cluster_role("system:rke2-controller", mode)["rules"]
            for resource in each["resources"]
        }
        for mode in ("agent", "cluster", "disabled", "pod")
    }
    assert {mode for mode, resources in listed.items() if "pods" in resources} == {"pod"}
