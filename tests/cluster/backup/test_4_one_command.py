"""Three servers go back to a snapshot with one command: the others stop, and join again by themselves."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2.recovery import state
from rke2.recovery.state import Restore
from rke2.snapshots import record
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.cluster.backup.history import PREFIX, History, Writer, read
from tests.cluster.backup.test_2_restore import mark, marks, save
from tests.cluster.eventually import eventually
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.members import Members
from tests.cluster.restart.server import Server

pytestmark = pytest.mark.long

NAMES = ("server-0", "server-1", "server-2")
RESTORE_SECONDS = 600


@pytest.fixture(scope="module")
def servers(lab: Lab, workload_archive: Path) -> Iterator[Members]:
    with gone_afterwards(new_lab(lab.state_dir, f"{lab.name}whole")) as own:
        members = Members(own, workload_archive)
        members.boot(*(members.place(name, "server") for name in NAMES))
        yield members


@pytest.fixture
def whole(servers: Members) -> Members:
    until_whole(servers)
    return servers


def until_whole(servers: Members) -> None:
    for name in NAMES:
        servers.until_node_ready(name)
    eventually(servers.voters, "three members vote", 240, ok=lambda names: names == frozenset(NAMES))


def restore(node: LabNode, *words: str) -> subprocess.CompletedProcess[str]:
    return node.rke2("etcd-snapshot", "restore", *words, timeout=RESTORE_SECONDS)


def told(node: LabNode) -> Restore | None:
    """What the leader has on disk of its last restore."""
    return state.read_restore(Paths(data_dir=node.host.path(Paths().data_dir)))


def forget(server: Server, *snapshots: Path) -> None:
    server.node.rke2("etcd-snapshot", "delete", *(each.name for each in snapshots), timeout=120)


def test_a_whole_cluster_goes_back_and_no_write_is_torn(whole: Members) -> None:
    leader, history = whole["server-1"], History()

    def create(name: str, content: str) -> bool:
        node = whole[NAMES[int(name.removeprefix(PREFIX)) % len(NAMES)]].node
        words = ("create", "configmap", name, f"--from-literal=n={content}")
        return node.kubectl("--request-timeout=10s", *words).returncode == 0

    with Writer(create, history) as writer:
        writer.until(10)
        began = time.time()
        snapshot = save(leader.node, "whole")
        history.snapshot = (began, time.time())
        writer.until(10)
        began = time.time()
        done = restore(leader.node, snapshot.name, "--yes")
        history.restore = (began, time.time())
        assert done.returncode == 0, done.stderr
        writer.until(10)
    assert "The cluster is restored, after" in done.stderr
    until_whole(whole)
    for name in NAMES:
        listed = whole[name].node.kubectl("get", "configmaps", "-o", "json").stdout
        assert history.wrong(read(listed)) == [], name
    # What was there before is kept, as a snapshot and as data, on every server.
    found = told(leader.node)
    assert found and found.step == "done" and found.saved
    assert leader.node.host.path(Paths().snapshots / found.saved).exists()
    for name in NAMES:
        old = whole[name].node.host.path(Paths().etcd.parent).glob("etcd-old-*")
        assert any((each / "member/wal").is_dir() for each in old), name


def test_a_server_that_is_away_joins_when_it_comes_back(whole: Members) -> None:
    leader, away = whole["server-2"], whole["server-0"]
    mark(leader.node, "of-before")
    snapshot = save(leader.node, "away")
    mark(leader.node, "of-after")
    away.node.host.stop()
    done = restore(leader.node, str(snapshot), "--yes")
    assert done.returncode == 0, done.stderr
    assert "still away: server-0" in done.stderr
    assert "of-after" not in marks(leader.node) and "of-before" in marks(leader.node)
    away.node.host.start()
    away.start()
    until_whole(whole)
    assert "of-after" not in marks(away.node) and "of-before" in marks(away.node)


def test_the_last_server_goes_on_with_its_data(whole: Members) -> None:
    last = whole["server-1"]
    mark(last.node, "survives")
    for name in ("server-0", "server-2"):
        whole[name].node.host.stop()
    shutil.rmtree(whole["server-2"].node.host.path(Paths().etcd.parent))
    done = last.node.rke2("etcd", "recover", "--yes", timeout=RESTORE_SECONDS)
    assert done.returncode == 0, done.stderr
    assert "survives" in marks(last.node)
    whole.set("server-2", server=f"https://{last.node.host.address}:9345")
    for name in ("server-0", "server-2"):
        whole[name].node.host.start()
        whole[name].start()
    until_whole(whole)
    for name in NAMES:
        assert "survives" in marks(whole[name].node), name


@pytest.mark.parametrize(
    ("victim", "step"), [("server-0", "changing"), ("server-1", "stopping")], ids=["the leader", "another"]
)
def test_who_is_killed_goes_on_with_the_next_start(whole: Members, victim: str, step: str) -> None:
    leader, killed = whole["server-0"], whole[victim]
    snapshot = save(leader.node, f"killed-{victim}-{step}")
    mark(leader.node, f"lost-{victim}-{step}")
    words = ("etcd-snapshot", "restore", snapshot.name, "--yes")
    with leader.node.popen(
        leader.node.command(*words), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as asked:

        def come() -> bool:
            found = told(leader.node)
            return asked.poll() is not None or bool(found and found.step == step)

        eventually(come, f"the restore comes to {step}", RESTORE_SECONDS, poll=0.01)
        killed.kill()
        killed.start()
        _, said = asked.communicate(timeout=RESTORE_SECONDS)
    assert asked.returncode == 0, said
    until_whole(whole)
    assert f"lost-{victim}-{step}" not in marks(leader.node)


def test_the_plan_changes_nothing_and_nobody_is_asked_twice(whole: Members) -> None:
    node = whole["server-1"].node
    before, snapshot = told(node), save(node, "plan")
    mark(node, "planned")
    shown = restore(node, snapshot.name, "--dry-run")
    assert shown.returncode == 0, shown.stderr
    for words in ("taken", "ago, on server-1, by rke2 v", "revisions of etcd", "server-0", "server-2"):
        assert words in shown.stdout
    assert shown.stdout.count("stops its control plane, and joins again with an empty member") == 2
    unasked = restore(node, snapshot.name)
    assert unasked.returncode == 1 and "add --yes" in unasked.stderr
    assert told(node) == before and "planned" in marks(node)
    forget(whole["server-1"], snapshot)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "sha256 checksum not found"),
        (lambda path: record_with(path, token_hash="ffffffffffff"), "encrypted with different token"),
        (lambda path: record_with(path, size=1 << 50), "MiB are free"),
    ],
    ids=["damaged", "of another token", "no room for it"],
)
def test_what_cannot_be_restored_changes_nothing(
    whole: Members, spoil: Callable[[Path], object], words: str
) -> None:
    node = whole["server-2"].node
    snapshot = save(node, "spoilt")
    mark(node, f"kept-{len(words)}")
    spoil(node.host.path(snapshot))
    done = restore(node, snapshot.name, "--yes")
    assert done.returncode == 1 and words in done.stderr, done.stderr
    until_whole(whole)
    whole.until_ready()
    assert f"kept-{len(words)}" in marks(node)
    forget(whole["server-2"], snapshot)


def record_with(path: Path, **changes: object) -> None:
    known = record.read_record(path)
    assert known
    about = {name: getattr(known, name) for name in known.__struct_fields__}
    record.write(path, record.Record(**{**about, **changes}), {})
