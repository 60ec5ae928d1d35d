"""The Secrets of node passwords in a running cluster."""

from __future__ import annotations

import base64
import json

from rke2.config.paths import Paths
from rke2.join import node_password
from tests.cluster.members import Members

NAMESPACE = ("--namespace", "kube-system")
_HASH = "jsonpath={.data.hash}"


def secret_of(name: str) -> str:
    return f"{name}.node-password.rke2"


def password_secret(members: Members, name: str, output: str = _HASH, by: str = "server-0") -> str:
    """What the Secret of node `name` has, by default the hash as it is stored; empty if there is none."""
    found = ("get", "secret", secret_of(name), "--ignore-not-found", "--output", output)
    return members.kubectl(*NAMESPACE, *found, by=by)


def keeps_its_password(members: Members, name: str, by: str = "server-0") -> bool:
    """Whether the Secret of node `name` has the password that is on the disk of that node."""
    text = base64.b64decode(password_secret(members, name, by=by)).decode()
    own = members[name].node.host.path(Paths().node_config_dir / "password").read_text().strip()
    return bool(text) and node_password.verify(text, own)


def delete_password(members: Members, name: str) -> None:
    assert members.kubectl(*NAMESPACE, "delete", "secret", secret_of(name))


def replace_password(members: Members, name: str, password: str) -> None:
    """Have the Secret of node `name` say another one."""
    delete_password(members, name)
    made = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "rke2.cattle.io/node-password",
        "immutable": True,
        "metadata": {"name": secret_of(name), "namespace": "kube-system"},
        "stringData": {"hash": node_password.hash(password)},
    }
    host = members["server-0"].node.host
    host.exec(["kubectl", "create", "--filename", "-"], input=json.dumps(made), check=True, timeout=60)
