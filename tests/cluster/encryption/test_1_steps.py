"""``rke2 secrets-encrypt`` on the shared server: the steps that take seconds."""

from __future__ import annotations

import json

from rke2_lab.node import LabNode
from tests.cluster.encryption.keys import config, encrypted_with, key_names, key_secrets, status
from tests.cluster.namespace import Namespace


def run(node: LabNode, *words: str) -> tuple[int, str, str]:
    done = node.rke2("secrets-encrypt", *words, timeout=240)
    return done.returncode, done.stdout, done.stderr


def test_status_prepare_and_rotate(cluster: LabNode, namespace: Namespace) -> None:
    """Each step is refused out of its order; keys and stage are on disk, on the Node and in etcd, and in no log."""
    (first,) = key_names(cluster)
    assert status(cluster) == {
        "stage": "start",
        "activekey": f"AES-CBC {first}",
        "enable": True,
        "hashmatch": True,
    }
    code, _, err = run(cluster, "rotate")
    assert code == 1
    assert "incorrect stage: start found on node" in err

    assert run(cluster, "prepare")[:2] == (0, "prepare completed successfully\n")
    assert key_names(cluster)[0] == first
    assert run(cluster, "rotate")[:2] == (0, "rotate completed successfully\n")
    second, last = key_names(cluster)
    assert last == first
    assert second.startswith("aescbckey-")
    assert (status(cluster)["stage"], status(cluster)["activekey"]) == ("rotate", f"AES-CBC {second}")

    log = cluster.log.read_text(errors="replace")
    assert "Encryption aescbc keys right rotated" in log
    for secret in key_secrets(cluster):
        assert secret not in log
    assert json.loads(config(cluster))["kind"] == "EncryptionConfiguration"
    assert {value.partition(" ")[0] for value in encrypted_with(cluster)} == {"aescbc"}
