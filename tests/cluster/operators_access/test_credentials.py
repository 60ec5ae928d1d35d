"""Who may do what on a new server: the administrator's kubeconfig, everyone else, and what is on the disk."""

from __future__ import annotations

import base64
import json
import shutil
import stat
from pathlib import Path
from typing import Any

from rke2.config.paths import Paths
from rke2_lab.node import LabNode
from tests.cluster.labs import CONTENT
from tests.cluster.namespace import Namespace

VALUE = "nobody may read this on the disk"


def test_the_kubeconfig_of_the_administrator_is_private(cluster: LabNode) -> None:
    status = cluster.host.path(Paths().admin_kubeconfig).stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o600, 0)
    assert cluster.kubectl("auth", "can-i", "*", "*", "--all-namespaces").stdout == "yes\n"


def test_strangers_are_told_nothing(cluster: LabNode) -> None:
    server = ["--server=https://127.0.0.1:6443", "--insecure-skip-tls-verify"]
    unknown = cluster.kubectl("--kubeconfig=/dev/null", *server, "--token=made.up", "get", "secrets")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    # kubectl's words for 401: of the request itself, or of the one before it, for what the server has.
    assert "Unauthorized" in unknown.stderr or "asked for the client to provide credentials" in unknown.stderr
    nobody = cluster.kubectl("--as=nobody", "get", "secrets")
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert 'User "nobody" cannot list resource "secrets"' in nobody.stderr


def test_secrets_are_encrypted_in_etcd_and_other_objects_are_not(namespace: Namespace) -> None:
    namespace.kubectl("create", "secret", "generic", "hidden", f"--from-literal=key={VALUE}")
    namespace.kubectl("create", "configmap", "plain", f"--from-literal=key={VALUE}")
    hidden = _stored(namespace.node, f"/registry/secrets/{namespace.name}/hidden")
    assert hidden.startswith(b"k8s:enc:aescbc:v1:")
    assert VALUE.encode() not in hidden
    assert VALUE.encode() in _stored(namespace.node, f"/registry/configmaps/{namespace.name}/plain")
    secret = namespace.find("secret", "hidden")
    assert base64.b64decode(secret["data"]["key"]).decode() == VALUE


def _stored(node: LabNode, key: str) -> bytes:
    """The bytes etcd holds for `key`, read with the API server's own credentials."""
    tls, etcdctl = Paths().tls / "etcd", Path("/var/lib/rancher/etcdctl")
    # Copied: a checkout below /tmp or /var/tmp is not visible in a host, which has its own.
    shutil.copy(CONTENT / "bin/etcdctl", node.host.path(etcdctl))
    command = [
        str(etcdctl),
        "--endpoints=https://127.0.0.1:2379",
        f"--cacert={tls / 'server-ca.crt'}",
        f"--cert={tls / 'client.crt'}",
        f"--key={tls / 'client.key'}",
        "--write-out=json",
        "get",
        key,
    ]
    answer: Any = json.loads(node.host.exec(command, check=True, timeout=30).stdout)
    return base64.b64decode(answer["kvs"][0]["value"])
