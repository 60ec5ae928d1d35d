"""A disk without room, on the server and in the object store: one message, nothing half there, the old data kept."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2_lab.host import LabHost
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.cluster.backup.test_2_restore import mark, marks, restore
from tests.cluster.eventually import eventually
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.nodes import place_server
from tests.cluster.restart.server import Server
from tests.objectstore.on_a_host import BUCKET_DIRECTORY, StoreHost

pytestmark = pytest.mark.long

DATABASE = Paths().etcd.parent
SNAPSHOTS = Path("/var/lib/rancher/snapshots")
AUTHORITY = Path("/etc/rancher/rke2/store-ca.pem")
SCHEDULE = Paths().config_dir / "config.yaml.d/90-schedule.yaml"
SIZES = {DATABASE: 640, SNAPSHOTS: 128}
"""MiB of the disks; twice the log that etcd allocates has to fit on the first."""
FULL = "No space left on device"


@pytest.fixture(scope="module")
def own_lab(lab: Lab) -> Iterator[Lab]:
    with gone_afterwards(new_lab(lab.state_dir, f"{lab.name}full")) as own:
        yield own


@pytest.fixture(scope="module")
def store(own_lab: Lab) -> StoreHost:
    made = StoreHost(own_lab)
    made.host.small_disk(BUCKET_DIRECTORY, 64)
    return made


@pytest.fixture(scope="module")
def server(own_lab: Lab, store: StoreHost) -> Server:
    settings = store.settings
    config = f"""
etcd-snapshot-dir: {SNAPSHOTS}
etcd-snapshot-retention: 3
etcd-s3: true
etcd-s3-endpoint: {settings.endpoint}
etcd-s3-endpoint-ca: {AUTHORITY}
etcd-s3-bucket: {settings.bucket}
etcd-s3-access-key: {settings.access_key}
etcd-s3-secret-key: {settings.secret_key}
"""
    node = place_server(own_lab, "server-0", config=config)
    node.host.write_file(AUTHORITY, store.authority)
    for directory, mebibytes in SIZES.items():
        node.host.small_disk(directory, mebibytes)
    made = Server(node)
    made.start()
    made.until_ready()
    return made


def seen(host: LabHost, path: Path) -> Path:
    """A path on a small disk of a host, which is mounted there alone."""
    assert host.record.init
    return Path(f"/proc/{host.record.init.pid}/root") / path.relative_to("/")


@contextmanager
def full(host: LabHost, directory: Path, left: int = 0) -> Iterator[None]:
    """The disk of `directory`, with only so many bytes free."""
    filler = seen(host, directory / "filler")
    with filler.open("wb") as file:
        taken = 0
        while (free := shutil.disk_usage(filler.parent).free - left) > 0:
            # Somebody else, such as etcd for its log, may take a part of it in between.
            with suppress(OSError):
                os.posix_fallocate(file.fileno(), taken, free)
                taken += free
    try:
        yield
    finally:
        filler.unlink()


def save(node: LabNode, base: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return node.rke2("etcd-snapshot", "save", "--name", base, *flags, timeout=300)


def files(node: LabNode) -> list[str]:
    """What lies in the directory of the snapshots."""
    return sorted(path.name for path in seen(node.host, SNAPSHOTS).iterdir() if path.name != "filler")


def objects(store: StoreHost) -> list[str]:
    """What lies in the bucket, parts of objects included."""
    top = seen(store.host, BUCKET_DIRECTORY)
    return sorted(str(path) for path in top.rglob("*") if path.is_file() and path.name != "filler")


def told(node: LabNode) -> str:
    """What the cluster knows of snapshots."""
    return node.kubectl("get", "etcdsnapshotfiles", "-o", "json").stdout


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "while it is compressed"])
def test_a_save_says_so_and_leaves_nothing(server: Server, compressed: bool) -> None:
    node, before = server.node, files(server.node)
    assert save(node, "sample", "--s3=false").returncode == 0
    (sample,) = (path for path in seen(node.host, SNAPSHOTS).glob("sample-*"))
    # All of the file fits, and only part of its compressed form.
    left, flags = (
        (sample.stat().st_size + (64 << 10), ["--snapshot-compress"]) if compressed else (1 << 20, [])
    )
    sample.unlink()
    with full(node.host, SNAPSHOTS, left):
        done = save(node, "refused", "--s3=false", *flags)
        assert done.returncode == 1, done.stderr
        assert done.stderr.count(FULL) == 1 and "free space on that file system" in done.stderr
        assert files(node) == before
    assert save(node, "again", "--s3=false", *flags).returncode == 0
    eventually(lambda: FULL in told(node), "the cluster is told", 60)
    for path in seen(node.host, SNAPSHOTS).glob("again-*"):
        path.unlink()


def test_a_full_store_keeps_the_snapshot_here(server: Server, store: StoreHost) -> None:
    node, before = server.node, objects(store)
    with full(store.host, BUCKET_DIRECTORY, 1 << 20):
        done = save(node, "copied")
        assert done.returncode == 1, done.stderr
        assert done.stderr.count("the object store is full") == 1, done.stderr
        assert len([name for name in files(node) if name.startswith("copied-")]) == 1
    assert objects(store) == before


def test_a_scheduled_one_is_told_until_one_succeeds(server: Server) -> None:
    node = server.node
    node.host.write_file(SCHEDULE, 'etcd-snapshot-schedule-cron: "@every 15s"\netcd-s3: false\n')
    assert server.terminate() == 0
    with full(node.host, SNAPSHOTS, 1 << 20):
        server.start()
        server.until_ready()
        eventually(lambda: FULL in node.rke2("status", timeout=60).stdout, "status tells of it", 120)
        assert not [name for name in files(node) if name.startswith("etcd-snapshot-")]
    eventually(lambda: FULL not in node.rke2("status", timeout=60).stdout, "one succeeded", 120)
    assert [name for name in files(node) if name.startswith("etcd-snapshot-")]
    node.host.path(SCHEDULE).unlink()
    assert server.terminate() == 0
    server.start()
    server.until_ready()


@pytest.mark.parametrize("left", [0, 60 << 20], ids=["full", "too little"])
def test_a_restore_with_one_command_changes_nothing(server: Server, left: int) -> None:
    node = server.node
    assert save(node, "whole", "--s3=false").returncode == 0
    (name,) = (name for name in files(node) if name.startswith("whole-"))
    mark(node, f"kept-{left}")
    with full(node.host, DATABASE, left):
        done = node.rke2("etcd-snapshot", "restore", name, "--yes", "--s3=false", timeout=300)
        assert done.returncode == 1, done.stderr
        assert "free space on that file system" in done.stderr, done.stderr
    server.until_ready()
    assert f"kept-{left}" in marks(node)
    _nothing_left(node)
    seen(node.host, SNAPSHOTS / name).unlink()


def test_a_restore_changes_nothing(server: Server) -> None:
    node = server.node
    assert save(node, "reset", "--s3=false").returncode == 0
    (name,) = (name for name in files(node) if name.startswith("reset-"))
    mark(node, "kept")
    assert server.terminate() == 0
    for left in (0, 60 << 20):
        with full(node.host, DATABASE, left):
            done = restore(node, SNAPSHOTS / name, "--etcd-s3=false")
            assert done.returncode == 1, done.stderr
            assert done.stderr.count("MiB are free") == 1 and "nothing was changed" in done.stderr, (
                done.stderr
            )
            _nothing_left(node)
    server.start()
    server.until_ready()
    assert "kept" in marks(node)


def test_a_snapshot_that_cannot_be_fetched_is_not_half_there(server: Server, store: StoreHost) -> None:
    node = server.node
    assert save(node, "away").returncode == 0
    (name,) = (name for name in files(node) if name.startswith("away-"))
    seen(node.host, SNAPSHOTS / name).unlink()
    before = files(node)
    assert server.terminate() == 0
    with full(node.host, SNAPSHOTS, 1 << 20):
        done = restore(node, name)
        assert done.returncode == 1 and done.stderr.count(FULL) == 1, done.stderr
        assert "free space on that file system" in done.stderr and files(node) == before
    _nothing_left(node)
    server.start()
    server.until_ready()


def _nothing_left(node: LabNode) -> None:
    found = {path.name for path in seen(node.host, DATABASE).iterdir()}
    assert not {"etcd-restore", "reset-unfinished"} & found, found
    assert not [name for name in found if name.startswith("etcd-old-")]
