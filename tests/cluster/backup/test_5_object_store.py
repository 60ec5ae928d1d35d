"""A server with an object store: snapshots are copied there and come back from there; what is wrong is told once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.cluster.agents.clocks import faked, set_clock
from tests.cluster.backup.test_2_restore import RESET_SECONDS, WORDS, mark, marks
from tests.cluster.eventually import eventually
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.nodes import place_server
from tests.cluster.restart.server import Server
from tests.objectstore.on_a_host import StoreHost

pytestmark = pytest.mark.long

FOLDER = "a/cluster"
AUTHORITY = Path("/etc/rancher/rke2/store-ca.pem")
SCHEDULE = Paths().config_dir / "config.yaml.d/90-schedule.yaml"


@pytest.fixture(scope="module")
def own_lab(lab: Lab) -> Iterator[Lab]:
    with gone_afterwards(new_lab(lab.state_dir, f"{lab.name}store")) as own:
        yield own


@pytest.fixture(scope="module")
def store(own_lab: Lab) -> StoreHost:
    return StoreHost(own_lab)


@pytest.fixture(scope="module")
def server(own_lab: Lab, store: StoreHost) -> Server:
    settings = store.settings
    config = f"""
etcd-s3: true
etcd-s3-endpoint: {settings.endpoint}
etcd-s3-endpoint-ca: {AUTHORITY}
etcd-s3-bucket: {settings.bucket}
etcd-s3-folder: {FOLDER}
etcd-s3-access-key: {settings.access_key}
etcd-s3-secret-key: {settings.secret_key}
"""
    node = place_server(own_lab, "server-0", config=config)
    node.host.write_file(AUTHORITY, store.authority)
    set_clock(node, "+0")
    made = Server(node)
    made.start(faked(node))
    made.until_ready()
    return made


def on_disk(node: LabNode, base: str) -> list[str]:
    return sorted(path.name for path in node.host.path(Paths().snapshots).glob(f"{base}-*"))


def save(node: LabNode, base: str) -> str:
    """The name of a snapshot that is on the disk and in the store."""
    done = node.rke2("etcd-snapshot", "save", "--name", base, timeout=300)
    assert done.returncode == 0, done.stderr
    (name,) = on_disk(node, base)
    return name


def save_away(node: LabNode, base: str) -> str:
    """The name of a snapshot that is in the store only."""
    name = save(node, base)
    node.host.path(Paths().snapshots / name).unlink()
    return name


def test_a_save_is_copied_listed_and_shown(server: Server, store: StoreHost) -> None:
    node, place = server.node, f"s3://{store.settings.bucket}/{FOLDER}"
    name = save(node, "copied")
    assert f"{FOLDER}/{name}" in store.files()
    listed = node.rke2("etcd-snapshot", "ls", timeout=120).stdout
    assert f"{place}/{name}" in listed and f"file://{Paths().snapshots / name}" in listed
    text = node.rke2("status", timeout=60).stdout
    line = next(line for line in text.splitlines() if line.startswith("snapshots"))
    assert f"in {Paths().snapshots} and {place} at {store.settings.endpoint}" in line


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--s3-access-key=other", "the access key is not known there"),
        ("--s3-secret-key=other", "the secret key is not that of the access key"),
        ("--s3-bucket=other", "bucket other does not exist"),
        ("--s3-endpoint-ca=", "its certificate is not trusted"),
    ],
)
def test_what_is_wrong_is_told_once_and_the_snapshot_stays(server: Server, flag: str, words: str) -> None:
    _refused(server.node, words, flag)


@pytest.mark.parametrize(("clock", "words"), [("+20m", "20 minutes ahead"), ("-20m", "20 minutes behind")])
def test_a_clock_that_is_wrong_is_told_by_how_much(server: Server, clock: str, words: str) -> None:
    set_clock(server.node, clock)
    try:
        _refused(server.node, f"this host's clock is {words}")
    finally:
        set_clock(server.node, "+0")


def _refused(node: LabNode, words: str, *flags: str) -> None:
    done = node.rke2("etcd-snapshot", "save", "--name=refused", *flags, timeout=300)
    assert done.returncode == 1 and done.stderr.count(words) == 1, done.stderr
    names = on_disk(node, "refused")
    assert len(names) == 1
    assert node.rke2("etcd-snapshot", "delete", "--s3=false", *names, timeout=120).returncode == 0


def test_one_command_restores_from_there(server: Server, store: StoreHost) -> None:
    node = server.node
    mark(node, "before")
    name = save_away(node, "fetched")
    mark(node, "after")
    url = f"s3://{store.settings.bucket}/{FOLDER}/{name}"
    shown = node.rke2("etcd-snapshot", "restore", url, "--dry-run", timeout=120)
    assert shown.returncode == 0 and f"Restore of {url}" in shown.stdout, shown.stderr
    assert on_disk(node, "fetched") == []
    done = node.rke2("etcd-snapshot", "restore", url, "--yes", timeout=600)
    assert done.returncode == 0 and "The cluster is restored, after" in done.stderr, done.stderr
    assert "before" in marks(node) and "after" not in marks(node)


def test_a_reset_restores_from_there(server: Server) -> None:
    node = server.node
    name = save_away(node, "reset")
    mark(node, "lost")
    assert server.terminate() == 0
    words = ("server", "--cluster-reset", f"--cluster-reset-restore-path={name}", "--etcd-s3")
    done = node.rke2(*words, timeout=RESET_SECONDS)
    assert done.returncode == 0 and WORDS in done.stderr, done.stderr
    assert "S3 download complete for" in done.stderr
    # For the next test: it needs a start, too.
    node.host.write_file(SCHEDULE, "etcd-snapshot-schedule-cron: '* * * * *'\netcd-s3-retention: 1\n")
    server.start(faked(node))
    server.until_ready()
    assert "before" in marks(node) and "lost" not in marks(node)


def test_scheduled_ones_are_copied_and_the_newest_is_kept(server: Server, store: StoreHost) -> None:
    def scheduled() -> list[str]:
        return [name for name in store.files() if name.startswith(f"{FOLDER}/etcd-snapshot-server-0-")]

    first = eventually(scheduled, "a scheduled snapshot in the store", 240)
    eventually(lambda: scheduled()[-1:] != first[-1:] and len(scheduled()) == 1, "it made room", 240)
    assert len(on_disk(server.node, "etcd-snapshot")) > 1
