from __future__ import annotations

from rke2.config.model import ComponentSettings
from rke2.controllers.node_roles import role_labels
from tests.configs import server_config


def test_roles_follow_the_components_that_run() -> None:
    assert role_labels(server_config()) == {
        "node-role.kubernetes.io/control-plane": "true",
        "node-role.kubernetes.io/etcd": "true",
    }
    without_etcd = server_config(components={"etcd": ComponentSettings(disabled=True)})
    assert role_labels(without_etcd) == {"node-role.kubernetes.io/control-plane": "true"}
