"""CustomResourceDefinitions, roles and the cluster-dns ConfigMap as they are created."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from rke2.addons import granted
from rke2.addons.cluster_dns import cluster_dns
from rke2.addons.schemas import ALL
from rke2.kube.objects import Object, name_of
from tests.configs import server_config
from tests.golden import assert_golden

GOLDEN = Path(__file__).parent


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(*objects: Object) -> str:
    return str(yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, width=120))


def test_custom_resource_definitions() -> None:
    for definition in ALL:
        assert_golden(GOLDEN / f"{name_of(definition)}.yaml", _text(definition))


def test_roles_and_bindings() -> None:
    roles = [granted.cluster_role(name) for name in granted.ROLES]
    bindings = [granted.binding(*row)[1] for row in granted.BINDINGS]
    assert_golden(GOLDEN / "rbac.yaml", _text(*roles, *bindings))


def test_cluster_dns() -> None:
    assert_golden(GOLDEN / "cluster-dns.yaml", _text(cluster_dns(server_config().network)))
