"""A server's snapshots in a real object store: copied, listed, kept down to a number, fetched for a restore."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from rke2.cli import main
from rke2.config.model import S3Settings
from rke2.errors import ConfigError, EtcdError, S3Error
from rke2.etcd.client import EtcdClient
from rke2.s3 import patience
from rke2.s3.body import Body
from rke2.s3.client import open_bucket
from rke2.snapshots import fetching, record, restoring
from rke2.snapshots import store as stores
from rke2.snapshots.request import SnapshotAnswer
from rke2.snapshots.taking import Snapshots
from rke2.version import VERSION
from tests.integration.etcd.cluster import Network, Server
from tests.integration.snapshots.test_saving import snapshots
from tests.objectstore.gateway import Gateway, gateway

pytestmark = pytest.mark.content

FLAGS = {
    "endpoint": "endpoint",
    "endpoint-ca": "endpoint_ca",
    "access-key": "access_key",
    "secret-key": "secret_key",
}
"""Flag of the command line and field of the settings, of what a store needs besides the place."""
TOKEN = "K10" + "0" * 64 + "::server:secret"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path / "s3") as running:
        yield running


@pytest.fixture(autouse=True)
def no_api(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no API server: nobody waits for one, and an upload is told its cluster's id by the test."""

    async def no_sleep(seconds: float) -> None:
        pass

    async def read(self: object) -> str:
        return "the-cluster"

    monkeypatch.setattr("rke2.snapshots.cluster_id.ClusterId.read", read)
    monkeypatch.setattr(patience, "sleep", no_sleep)


def taker(
    server: Server, client: EtcdClient, monkeypatch: pytest.MonkeyPatch, **settings: object
) -> Snapshots:
    paths = server.config.paths
    paths.token.parent.mkdir(parents=True, exist_ok=True)
    paths.token.write_text(TOKEN)
    return snapshots(server, client, monkeypatch, **settings)


async def save(taken: Snapshots, settings: S3Settings, **wish: object) -> SnapshotAnswer:
    return await taken.save(taken.wish(s3=settings, **wish))  # type: ignore[arg-type]


async def test_a_snapshot_is_copied_described_and_fetched(
    network: Network, store: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, settings = await network.alone(), replace(store.settings, folder="/a/b/")
    async with first.connect() as client:
        await client.put("/registry/a", b"one")
        taken = taker(first, client, monkeypatch)
        for compress, how in ((False, None), (True, "zip"), (True, "zstd")):
            answer = await save(taken, settings, base=f"s{how}", compress=compress, how=how)
            assert len(answer.created) == 2 and len(set(answer.created)) == 1 and not answer.errors
            path = taken.directory / answer.created[0]
            local, known = path.read_bytes(), record.read_record(path)
            found = await taken.copies.store.inventory(settings)
            (stored,) = [each for each in found if each.name == path.name]
            assert stored.location == f"s3://snapshots/a/b/{path.name}" and stored.size == len(local)
            about = stored.about
            assert about.node == "first" and about.cluster == "the-cluster" and about.record == known
            assert known and about.token_hash == known.token_hash == record.token_hash(TOKEN)
            path.unlink()
            record.remove(path)
            assert await fetching.look_up(settings, path.name) == stored
            await fetching.fetch(settings, path, make=True)
            assert path.read_bytes() == local and record.read_record(path) == known
            scratch = tmp_path / f"scratch-{how}"
            scratch.mkdir()
            restoring.check(path, record.token_hash(TOKEN), scratch)


async def test_the_operators_metadata_goes_with_it(
    network: Network, store: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await network.alone()
    async with first.connect() as client:
        taken = taker(first, client, monkeypatch)

        async def extra() -> dict[str, str]:
            return {"why": "before the upgrade"}

        monkeypatch.setattr(taken, "_extra", extra)
        name = (await save(taken, store.settings)).created[0]
        assert store.files() == [f".metadata/{name}", name]
        (stored,) = await taken.copies.store.inventory(store.settings)
        assert stored.about.extra == {"why": "before the upgrade"}
        answer = await taken.delete([name, "no-such"], s3=store.settings)
        assert answer == SnapshotAnswer(deleted=[name, name])
        assert store.files() == []


async def test_retention_in_s3_removes_only_what_is_this_servers(
    network: Network, store: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, settings = await network.alone(), replace(store.settings, folder="f", retention=2)
    others = {
        "f/etcd-snapshot-second-1": "of another server",
        "f/etcd-snapshot-weekly-first-1": "of another base name",
        "f/deeper/etcd-snapshot-first-1": "in a folder of somebody else",
        "etcd-snapshot-first-1": "outside",
    }
    async with first.connect() as client:
        taken = taker(first, client, monkeypatch)
        async with open_bucket(settings) as bucket:
            for key, content in others.items():
                await bucket.put(key, Body.of(content.encode()), {})
            strange = record.Record(node="first", taken=2, version="v", ca_hash="f" * 64)
            foreign = {"x-amz-meta-rke2-record": msgspec.json.encode(strange).decode()}
            await bucket.put("f/etcd-snapshot-first-2", Body.of(b"of another cluster"), foreign)
            await bucket.put("f/etcd-snapshot-first-3", Body.of(b"ours, from RKE2"), {})
        names = [(await save(taken, settings)).created[0] for _ in range(3)]
    kept = [f"f/{name}" for name in names[1:]]
    assert store.files() == sorted([*others, "f/etcd-snapshot-first-2", *kept])


async def test_a_long_record_goes_without_its_counts(
    network: Network, store: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await network.alone()
    async with first.connect() as client:
        for number in range(200):
            await client.put(f"/registry/group{number}.example.org/things/a", b"x")
        taken = taker(first, client, monkeypatch)
        name = (await save(taken, store.settings)).created[0]
        known = record.read_record(taken.directory / name)
        (stored,) = await taken.copies.store.inventory(store.settings)
    assert known and len(known.counts) == 200 and stored.about.record
    assert stored.about.record == msgspec.structs.replace(known, counts={})


async def test_thousands_are_described_once(
    network: Network, store: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await network.alone()
    async with first.connect() as client:
        taken = taker(first, client, monkeypatch)
        async with open_bucket(store.settings) as bucket:
            for number in range(1, 41):
                await bucket.put(f"etcd-snapshot-first-{number}", Body.of(b"x"), {})
        assert len(await taken.copies.store.inventory(store.settings)) == 40
        heads = list[str]()
        monkeypatch.setattr(stores, "_described", lambda bucket, listed: heads.append(listed.key))
        assert len(await taken.copies.store.inventory(store.settings)) == 40
        assert heads == []


WRONG = (
    ({"bucket": "other"}, "bucket other does not exist"),
    ({"access_key": "other"}, "the access key is not known there"),
    ({"secret_key": "other"}, "the secret key is not that of the access key"),
    ({"endpoint": "127.0.0.1:1"}, "cannot be reached"),
    ({"timeout": 0.001}, "it took longer than 1ms"),
)


async def test_what_is_wrong_costs_no_snapshot_and_one_message(
    network: Network, store: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = await network.alone()
    async with first.connect() as client:
        taken = taker(first, client, monkeypatch)
        for changes, words in WRONG:
            caplog.clear()
            settings = replace(store.settings, **changes)
            with caplog.at_level(logging.ERROR):
                answer = await save(taken, settings)
            (name,), (error,) = answer.created, answer.errors
            assert (taken.directory / name).exists()
            assert f"{taken.directory / name} is saved, but is not in S3: " in error and words in error
            uploads = [each for each in caplog.messages if "during snapshot upload to S3" in each]
            assert len(uploads) == 1 and words in uploads[0]
            assert taken.copies.failed[-1].name == name and words in taken.copies.failed[-1].reason
    assert store.files() == []


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Gateway]:
    """A store with room for 24 MiB."""
    folder = tmp_path / "small"
    (folder / "store").mkdir(parents=True)
    mounted = f'mount -t tmpfs -o size=24m tmpfs {folder}/store && exec "$@"'
    with gateway(folder, last=4, prefix=("unshare", "--mount", "sh", "-c", mounted, "sh")) as running:
        yield running


async def test_a_full_store_is_told(
    network: Network, small: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await network.alone()
    async with first.connect() as client:
        for number in range(40):
            await client.put(f"/registry/{number}", number.to_bytes(2, "big") * 500_000)
        taken = taker(first, client, monkeypatch)
        answer = await save(taken, small.settings)
    assert len(answer.created) == 1 and (taken.directory / answer.created[0]).exists()
    assert any("is full" in error for error in answer.errors), answer.errors


async def test_what_cannot_be_fetched_is_told(
    network: Network, store: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await network.alone()
    async with first.connect() as client:
        taken = taker(first, client, monkeypatch)
        target = taken.directory / "no-such"
        with pytest.raises(S3Error, match="there is no snapshot s3://snapshots/no-such"):
            await fetching.fetch(store.settings, target, make=True)
        with pytest.raises(S3Error, match="the access key is not known there"):
            await fetching.fetch(replace(store.settings, access_key="other"), target, make=True)
        with pytest.raises(ConfigError, match="cannot use S3 config secret when restoring snapshot"):
            await fetching.fetch(S3Settings(config_secret="s"), target, make=True)
        assert not taken.directory.exists() or list(taken.directory.iterdir()) == []


async def test_what_is_damaged_there_is_not_restored(
    network: Network, store: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await network.alone()
    async with first.connect() as client:
        taken = taker(first, client, monkeypatch)
        name = (await save(taken, store.settings)).created[0]
        there = store.root / store.settings.bucket / name
        content = bytearray(there.read_bytes())
        content[5000] ^= 1
        there.write_bytes(content)
        await fetching.fetch(store.settings, taken.directory / name, make=True)
    with pytest.raises(EtcdError, match="expected sha256"):
        restoring.check(taken.directory / name, record.token_hash(TOKEN), tmp_path)


async def test_a_restore_is_planned_without_fetching(
    network: Network, store: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, settings = await network.alone(), replace(store.settings, folder="a/b")
    async with first.connect() as client:
        taken = taker(first, client, monkeypatch)
        name = (await save(taken, settings)).created[0]
    data_dir, url = first.config.paths.data_dir, f"s3://{settings.bucket}/a/b/{name}"
    flags = [f"--data-dir={data_dir}", "--etcd-server=https://127.0.0.1:1", "--dry-run"]
    keys = [f"--s3-{flag}={getattr(settings, field)}" for flag, field in FLAGS.items()]

    async def planned(*words: str) -> tuple[int, str]:
        code = await asyncio.to_thread(main, ["etcd-snapshot", "restore", *flags, *words])
        shown = capsys.readouterr()
        return code, shown.out + shown.err

    # What is on the disk needs no store, whatever config.yaml says of one.
    code, said = await planned("--s3", name)
    assert code == 0 and f"Restore of {taken.directory / name}" in said
    (taken.directory / name).unlink()
    for words in ([url], ["--s3", "--s3-bucket=snapshots", "--s3-folder=a/b", name]):
        code, said = await planned(*keys, *words)
        assert code == 0 and f"Restore of {url}\n" in said, said
        assert f"on first, by rke2 {VERSION}" in said and f"MiB, to {taken.directory / name}" in said
    code, said = await planned(*keys, f"{url}0")
    assert code == 1 and f"there is no snapshot {url}0" in said
    code, said = await planned(*keys, "--s3-secret-key=other", url)
    assert code == 1 and "the secret key is not that of the access key" in said
    first.config.paths.token.write_text("K10" + "0" * 64 + "::server:other")
    code, said = await planned(*keys, url)
    assert code == 1 and "encrypted with different token" in said
    assert not (taken.directory / name).exists()
