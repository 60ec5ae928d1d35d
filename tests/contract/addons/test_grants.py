"""Nothing that rke2 itself grants can be turned into more, unless the table says who needs it."""

from __future__ import annotations

from typing import Any

import pytest

from rke2.addons import granted
from rke2.addons.helm.jobs import JobSettings, plan
from rke2.addons.helm.model import Chart, ChartSpec, ConfigSpec
from tests.grants import allowed_bindings, allowed_permissions, dangers, foreign_roles, rows, told_dangers


def of_rke2() -> list[dict[str, Any]]:
    modes = ("agent", "cluster", "disabled", "pod")
    roles = [granted.cluster_role(name, mode) for name in granted.ROLES for mode in modes]
    return [*roles, *(granted.binding(*row)[1] for row in granted.BINDINGS)]


def test_the_roles_of_the_cluster() -> None:
    assert told_dangers("rke2", of_rke2()) == allowed_permissions("rke2")
    assert foreign_roles(of_rke2()) == allowed_bindings("rke2")


def test_the_job_of_a_chart() -> None:
    made = plan(Chart("<chart>", "<namespace>", ChartSpec(chart="demo")), ConfigSpec(), JobSettings("i"))
    assert told_dangers("helm", made.helpers) == allowed_permissions("helm")
    assert foreign_roles(made.helpers) == allowed_bindings("helm")


def test_every_row_says_why() -> None:
    assert all(len(row["why"]) > 20 for row in rows())


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}, []),
        ({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}, ["core/secrets get"]),
        ({"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"], "verbs": ["get"]}, []),
        ({"apiGroups": ["apps"], "resources": ["*"], "verbs": ["get"]}, ["apps/* get"]),
        ({"apiGroups": [""], "resources": ["nodes"], "verbs": ["*"]}, ["core/nodes *"]),
        ({"apiGroups": [""], "resources": ["nodes/proxy"], "verbs": ["get"]}, ["core/nodes/proxy get"]),
        (
            {
                "apiGroups": [""],
                "resources": ["serviceaccounts/token"],
                "resourceNames": ["a"],
                "verbs": ["create"],
            },
            ["core/serviceaccounts/token[a] create"],
        ),
        (
            {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["bind", "get"]},
            ["rbac.authorization.k8s.io/roles bind"],
        ),
        ({"nonResourceURLs": ["*"], "verbs": ["get"]}, ["core/* get"]),
    ],
)
def test_what_needs_a_reason(rule: dict[str, Any], told: list[str]) -> None:
    assert list(dangers({"rules": [rule]})) == told
