"""What a real API server says of its keys, and what etcd has after every Secret was written again."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2.kube.client import Client
from rke2.kube.resources import NAMESPACES, SECRETS
from rke2.pki.encryption_config import EncryptionConfig, EncryptionKey
from rke2.supervisor.encryption.apiservers import APIServer, loaded_hashes, until_known
from rke2.supervisor.encryption.rewriting import rewrite
from tests.binaries import binary
from tests.control_plane import ControlPlane, control_plane

pytestmark = [pytest.mark.root, pytest.mark.content]

FORMER = EncryptionConfig.new("aescbc", EncryptionKey.new("aescbc", None))
KEY = EncryptionKey.new("secretbox", None)
ROTATED = FORMER.add("secretbox", KEY).promote("secretbox")
SECRETS_MADE = 60


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("keys") / "encryption-config.json"
    file.write_bytes(FORMER.encode())
    return file


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[ControlPlane]:
    for name in ("etcd", "etcdctl", "kube-apiserver", "kubectl"):
        binary(name)
    folder = tmp_path_factory.mktemp("encryption")
    with control_plane(folder, f"--encryption-provider-config={keys}") as running:
        yield running


def encrypted_with(cluster: ControlPlane) -> set[str]:
    """Type and name of the keys of all Secrets in etcd, in hexadecimal as etcdctl prints them."""
    listed = cluster.etcdctl("get", "/registry/secrets/", "--prefix", "--print-value-only", "--hex")
    start = "".join(f"\\x{byte:02x}" for byte in b"k8s:enc:")
    values = [line for line in listed.splitlines() if line]
    assert all(line.startswith(start) for line in values)
    heads = [bytes.fromhex(line.replace("\\x", "")[:120]) for line in values]
    return {b":".join(head.split(b":")[2:5]).decode(errors="replace") for head in heads}


async def test_every_secret_is_encrypted_with_the_new_key(cluster: ControlPlane, keys: Path) -> None:
    with cluster.isolated.entered():
        async with Client(cluster.kubeconfig, "test", "node1") as client:
            await make_secrets(client)
            own = [APIServer("node1", "")]
            assert await until_known(client, own, FORMER.encode(), lambda name: None, seconds=0) == set()
            assert loaded_hashes(await client.raw("/metrics")) == {
                hashlib.sha256(FORMER.encode()).hexdigest()
            }
            assert encrypted_with(cluster) == {"aescbc:v1:aescbckey"}

            keys.write_bytes(ROTATED.encode())
            cluster.restart("kube-apiserver")
            async with asyncio.timeout(60):
                await until_known(client, own, ROTATED.encode(), ready_node, seconds=60)
            before = await versions(client)
            reports: list[int] = []
            assert await rewrite(client, reports.append) >= SECRETS_MADE
            assert reports[0] == 50
            assert encrypted_with(cluster) == {"secretbox:v1:secretboxkey"}
            after = await versions(client)
            assert before.keys() == after.keys()
            assert all(before[name] != after[name] for name in before)


def ready_node(name: str) -> dict[str, object]:
    return {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}


async def make_secrets(client: Client) -> None:
    await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "many"}})
    for number in range(SECRETS_MADE):
        meta = {"name": f"s{number}", "namespace": "many"}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {"a": "YQ=="}}
        await client.create(SECRETS, {**secret, "immutable": number % 2 == 0})


async def versions(client: Client) -> dict[str, str]:
    found = (await client.list(SECRETS, "many", metadata_only=True)).items
    return {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in found}
