"""Drills with the real etcd: what restores is proven, and each way in which a snapshot cannot is found."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from rke2.etcd.client import EtcdClient
from rke2.join.bootstrap import BootstrapData, BootstrapEntry
from rke2.join.store import BootstrapStore
from rke2.pki.encryption import new_encryption_config
from rke2.snapshots import record
from rke2.snapshots.bounds import Bounds
from rke2.snapshots.directory import list_snapshots
from rke2.snapshots.drills import Drills
from rke2.snapshots.request import SnapshotRequestError
from rke2.snapshots.taking import Snapshots
from tests.binaries import binary
from tests.integration.etcd.cluster import Network, Server
from tests.integration.snapshots.test_saving import snapshots
from tests.unit.pki.test_envelope import sealed

pytestmark = pytest.mark.content

TOKEN = "the token of this cluster"
SECRETS = "/registry/secrets/default/"


async def programs(target: Path) -> None:
    target.mkdir(parents=True)
    for name in ("etcd", "etcdutl"):
        (target / name).symlink_to(binary(name))


async def fill(client: EtcdClient, server: Server, config: str) -> None:
    """The least of a cluster: its keys under the token, a few objects, an encrypted Secret."""
    server.config.paths.token.write_text(f"{TOKEN}\n")
    data = BootstrapData({"EncryptionConfig": BootstrapEntry(config.encode(), 1)})
    await BootstrapStore(client, TOKEN).save(data)
    for number in range(30):
        await client.put(f"/registry/pods/default/{number}", b"k8s\0")
    await client.put("/registry/helm.cattle.io/helmcharts/kube-system/a", b"{}")
    await client.put("/registry/services/specs/default/kubernetes", b"k8s\0")
    await client.put(f"{SECRETS}plain", b"k8s\0")
    await client.put(f"{SECRETS}sealed", secret(config, "aescbckey"))


def secret(config: str, name: str) -> bytes:
    key = json.loads(config)["resources"][0]["providers"][0]["aescbc"]["keys"][0]["secret"]
    return sealed("aescbc", key=base64.b64decode(key)).replace(b":k:", f":{name}:".encode(), 1)


async def saved(made: Snapshots) -> Path:
    return made.directory / (await made.save(made.wish())).created[0]


async def test_a_snapshot_is_proven(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await network.alone()
    async with first.connect() as client:
        await fill(client, first, new_encryption_config("aescbc"))
        made = snapshots(first, client, monkeypatch)
        path = await saved(made)
        await client.put("/registry/pods/default/later", b"k8s\0")
        known = record.read_record(path)
        assert known and known.counts == {
            "helm.cattle.io/helmcharts": 1,
            "pods": 30,
            "secrets": 2,
            "services/specs": 1,
        }
        drills = Drills(made, programs=programs)
        going = asyncio.create_task(drills.verify())
        limits = await _limits(first)
        verdict = await going
        assert verdict.failure == "" and verdict.name == path.name
        assert (verdict.keys, verdict.resources, verdict.decrypted) == (34, 4, 2)
        assert verdict.revision >= known.revision
        # The child that ran meanwhile was bounded, and nothing of it is left.
        assert str(Bounds().memory) in limits
        assert not made.paths.drill_scratch.exists()
        (listed,) = list_snapshots(made.directory)
        assert listed.verdict == verdict and made.verdicts[0][1] == verdict
        assert (await client.status()).header is not None
        with pytest.raises(SnapshotRequestError, match="no snapshot no-such on this server"):
            await drills.verify("no-such")


async def _limits(server: Server) -> str:
    """``/proc/<pid>/limits`` of the drill's etcd, as soon as there is one with a bound."""
    scratch = str(server.config.paths.drill_scratch)
    async with asyncio.timeout(60):
        while True:
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    if f"--config-file={scratch}" in (process / "cmdline").read_text():
                        text = (process / "limits").read_text()
                        line = next(line for line in text.splitlines() if line.startswith("Max data size"))
                        if "unlimited" not in line:
                            return line
                except OSError:
                    continue
            await asyncio.sleep(0.01)


async def test_what_does_not_restore_is_found(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await network.alone()
    async with first.connect() as client:
        config = new_encryption_config("aescbc")
        await fill(client, first, config)
        made = snapshots(first, client, monkeypatch)
        good = await saved(made)
        shown: dict[str, str] = {}
        for name, spoil in SPOILT.items():
            path = good.with_name(f"{name}-n-1")
            shutil.copy(good, path)
            shutil.copy(record.record_file(good), record.record_file(path))
            undo = await spoil(path, client, made)
            verdict = await Drills(made, programs=programs).verify(path.name)
            shown[name] = verdict.failure
            await undo()
        for name, words in WORDS.items():
            assert words in shown[name], shown
        # Nothing was wrong with the one they were made of.
        assert (await Drills(made, programs=programs).verify(good.name)).failure == ""


Undo = Callable[[], Awaitable[None]]


async def nothing() -> None:
    pass


async def cut(path: Path, client: EtcdClient, made: Snapshots) -> Undo:
    os.truncate(path, path.stat().st_size - 100)
    return nothing


async def another(path: Path, client: EtcdClient, made: Snapshots) -> Undo:
    """Whole, and not the one that the record is of."""
    await client.put("/registry/pods/default/0", b"k8s\0 changed")
    later = await saved(made)
    later.replace(path)
    record.remove(later)
    return nothing


async def fewer(path: Path, client: EtcdClient, made: Snapshots) -> Undo:
    file = record.record_file(path)
    about = json.loads(file.read_text())
    about["counts"]["pods"] += 1
    file.write_text(json.dumps(about))
    return nothing


async def older(path: Path, client: EtcdClient, made: Snapshots) -> Undo:
    file = record.record_file(path)
    about = json.loads(file.read_text())
    about["revision"] += 1000
    file.write_text(json.dumps(about))
    return nothing


async def token(path: Path, client: EtcdClient, made: Snapshots) -> Undo:
    """The record does not say whose it is: found only by opening it."""
    record.record_file(path).unlink()
    made.paths.token.write_text("another")

    async def undo() -> None:
        made.paths.token.write_text(f"{TOKEN}\n")

    return undo


async def foreign(path: Path, client: EtcdClient, made: Snapshots) -> Undo:
    """A Secret under a key that the cluster's configuration does not have."""
    await client.put(f"{SECRETS}foreign", sealed("aescbc"))
    later = await saved(made)
    later.replace(path)
    record.record_file(later).replace(record.record_file(path))

    async def undo() -> None:
        await client.delete(f"{SECRETS}foreign")

    return undo


SPOILT = {
    "cut": cut,
    "another": another,
    "fewer": fewer,
    "older": older,
    "token": token,
    "foreign": foreign,
}
WORDS = {
    "cut": "sha256 checksum not found",
    "another": "its record is of a snapshot with sha256",
    "fewer": "another number of keys than its record says: pods 30 instead of 31",
    "older": "its record says",
    "token": "encrypted with different token",
    "foreign": "/registry/secrets/default/foreign cannot be decrypted: it is encrypted with aescbc key k, which",
}
