from __future__ import annotations

import hashlib
from pathlib import Path

from rke2.config.model import ComponentSettings
from rke2.controllers.node_roles import role_annotations, role_labels
from rke2.pki.encryption import ensure_encryption_config
from tests.configs import paths_under, server_config


def test_roles_follow_the_components_that_run() -> None:
    assert role_labels(server_config()) == {
        "node-role.kubernetes.io/control-plane": "true",
        "node-role.kubernetes.io/etcd": "true",
    }
    without_etcd = server_config(components={"etcd": ComponentSettings(disabled=True)})
    assert role_labels(without_etcd) == {"node-role.kubernetes.io/control-plane": "true"}


def test_a_server_tells_the_others_the_hash_of_its_encryption(tmp_path: Path) -> None:
    paths = paths_under(tmp_path)
    paths.cred.mkdir(parents=True)
    ensure_encryption_config(paths.cred, "aescbc")
    digest = hashlib.sha256((paths.cred / "encryption-config.json").read_bytes()).hexdigest()
    assert role_annotations(server_config(paths)) == {"rke2.io/encryption-config-hash": f"start-{digest}"}
    etcd_only = server_config(paths, components={"kube-apiserver": ComponentSettings(disabled=True)})
    assert role_annotations(etcd_only) == {}
