"""The keys of a cluster as a server has them, and what etcd holds of a Secret."""

from __future__ import annotations

import base64
import json
from typing import Any

from rke2.config.paths import Paths
from rke2_lab.node import LabNode

PATHS = Paths()
_CONFIG = PATHS.cred / "encryption-config.json"
_LISTING = """
import asyncio, base64, sys
from pathlib import Path
from rke2.etcd.client import EtcdClient
tls = Path("/var/lib/rancher/rke2/server/tls/etcd")
async def main():
    files = tls / "client.crt", tls / "client.key", tls / "server-ca.crt"
    async with EtcdClient(["https://127.0.0.1:2379"], *files) as etcd:
        for item in await etcd.get_prefix(sys.argv[1]):
            print(item.key.decode(), base64.b64encode(item.value[:80]).decode())
asyncio.run(main())
"""


def status(node: LabNode) -> dict[str, Any]:
    """What ``rke2 secrets-encrypt status`` says."""
    done = node.rke2("secrets-encrypt", "status", "-o", "json", timeout=60)
    return dict(json.loads(done.stdout)) if done.returncode == 0 else {}


def config(node: LabNode) -> bytes:
    """The file of the keys."""
    return bytes(node.host.path(_CONFIG).read_bytes())


def key_names(node: LabNode) -> list[str]:
    """In the order in which they are tried."""
    return [key["name"] for key in _keys(node)]


def key_secrets(node: LabNode) -> list[str]:
    """What nobody may read anywhere else."""
    return [key["secret"] for key in _keys(node)]


def _keys(node: LabNode) -> list[dict[str, str]]:
    providers = json.loads(config(node))["resources"][0]["providers"]
    return [key for each in providers for kind in each.values() for key in kind.get("keys", [])]


def encrypted_with(node: LabNode) -> set[str]:
    """The names of the keys, after their type, that the Secrets in etcd are encrypted with; ``clear`` for none."""
    host = node.host
    listed = host.exec([host.python, "-c", _LISTING, "/registry/secrets/"], check=True, timeout=60).stdout
    return {_key_of(base64.b64decode(line.split()[1])) for line in listed.splitlines()}


def _key_of(value: bytes) -> str:
    """``k8s:enc:<type>:v1:<name>:…``, where a name may hold colons of a time; nothing else does before its end."""
    if not value.startswith(b"k8s:enc:"):
        return "clear"
    _, _, kind, _, rest = value.split(b":", 4)
    return f"{kind.decode()} {rest.decode(errors='replace')}"
