"""One server: back to a snapshot, compressed or not, on its own host and a new one; a reset without a restore."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2.lifecycle.progress import read_status
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.cluster.eventually import eventually
from tests.cluster.nodes import place_server
from tests.cluster.restart.server import Server

pytestmark = pytest.mark.long

RESET_SECONDS = 240
MOVED = "10.77.0.30"
DB = Paths().etcd.parent
WORDS = "Managed etcd cluster membership has been reset, restart without --cluster-reset flag now."


def reset(node: LabNode, *flags: str) -> subprocess.CompletedProcess[str]:
    return node.rke2("server", "--cluster-reset", *flags, timeout=RESET_SECONDS)


def restore(node: LabNode, path: Path | str, *flags: str) -> subprocess.CompletedProcess[str]:
    return reset(node, f"--cluster-reset-restore-path={path}", *flags)


def mark(node: LabNode, name: str) -> None:
    done = node.kubectl("create", "configmap", name)
    assert done.returncode == 0, done.stderr


def marks(node: LabNode) -> set[str]:
    """The ConfigMaps of tests; none if the API does not answer."""
    done = node.kubectl("get", "configmaps", "-o", "json")
    listed = json.loads(done.stdout)["items"] if done.returncode == 0 else []
    return {each["metadata"]["name"] for each in listed} - {"kube-root-ca.crt"}


def save(node: LabNode, name: str, *flags: str) -> Path:
    done = node.rke2("etcd-snapshot", "save", "--name", name, *flags, timeout=120)
    assert done.returncode == 0, done.stderr
    (found,) = node.host.path(Paths().snapshots).glob(f"{name}-*")
    return Paths().snapshots / found.name


def old_data(node: LabNode) -> list[Path]:
    return sorted(node.host.path(DB).glob("etcd-old-*"))


@pytest.fixture(scope="module")
def server(lab: Lab) -> Iterator[Server]:
    made = Server(place_server(lab, "restored"))
    made.start()
    made.until_ready()
    yield made


def test_a_snapshot_is_restored(server: Server) -> None:
    node = server.node
    mark(node, "before")
    snapshot = save(node, "plain")
    mark(node, "after")
    assert server.terminate() == 0
    done = restore(node, snapshot)
    assert done.returncode == 0, done.stderr
    assert WORDS in done.stderr and "Pre-restore etcd database moved to" in done.stderr
    assert len(old_data(node)) == 1 and (old_data(node)[0] / "member/wal").is_dir()
    assert node.host.path(Paths().reset_flag).exists()
    assert not node.host.path(Paths().reset_scratch).exists()
    server.start()
    server.until_ready()
    assert marks(node) == {"before"}
    eventually(lambda: not node.host.path(Paths().reset_flag).exists(), "the flag is gone", 30)
    # The revision went far ahead: no controller sees a version twice.
    version = json.loads(node.kubectl("create", "configmap", "later", "-o", "json").stdout)["metadata"]
    assert int(version["resourceVersion"]) > 1_000_000_000


def test_a_compressed_snapshot_is_restored_by_its_name(server: Server) -> None:
    node = server.node
    snapshot = save(node, "zipped", "--snapshot-compress")
    mark(node, "too-late")
    assert server.terminate() == 0
    done = restore(node, snapshot.name)
    assert done.returncode == 0, done.stderr
    server.start()
    server.until_ready()
    assert "too-late" not in marks(node) and "before" in marks(node)


def test_a_reset_without_a_restore_keeps_the_data(server: Server) -> None:
    node = server.node
    mark(node, "kept")
    assert server.terminate() == 0
    done = reset(node)
    assert done.returncode == 0 and WORDS in done.stderr, done.stderr
    again = reset(node)
    assert (
        again.returncode == 1 and "was previously reset, please remove the cluster-reset flag" in again.stderr
    )
    server.start()
    server.until_ready()
    assert "kept" in marks(node)


KILLED_IN = ("etcd programs", "snapshot", "keys of the snapshot", "static pods", "data", "keys")


def test_a_restore_that_is_killed_at_any_step_is_done_by_the_next(server: Server) -> None:
    node = server.node
    snapshot = save(node, "killed")
    mark(node, "lost")
    before = len(old_data(node))
    assert server.terminate() == 0
    for phase in KILLED_IN:
        _kill_in(node, phase, snapshot)
        if node.host.path(Paths().reset_unfinished).exists():
            plain = node.rke2("server", timeout=60)
            assert plain.returncode == 1 and "a cluster reset was begun and not finished" in plain.stderr
        assert len(old_data(node)) >= before
    done = restore(node, snapshot)
    assert done.returncode == 0, done.stderr
    # What was there before the first of them is still there.
    assert any((each / "member/wal").is_dir() for each in old_data(node)[before:])
    server.start()
    server.until_ready()
    assert "lost" not in marks(node) and "kept" in marks(node)


def _kill_in(node: LabNode, phase: str, snapshot: Path) -> None:
    """Begin a restore and kill it when it has come to `phase`."""
    words = ("server", "--cluster-reset", f"--cluster-reset-restore-path={snapshot}")
    status, began = node.host.path(Paths().status), time.time()
    with node.popen(
        node.command(*words), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:

        def come() -> bool:
            found = read_status(status)
            states = {each.name: each.state for each in found.phases} if found else {}
            mine = found is not None and found.started >= began
            return process.poll() is not None or (mine and states.get(phase, "pending") != "pending")

        eventually(come, f"the restore comes to {phase}", RESET_SECONDS, poll=0.01)
        found = read_status(status)
        if process.poll() is None and found:
            kill = node.host.exec(["kill", "-KILL", str(found.pid)])
            assert kill.returncode == 0, kill.stderr


def test_a_snapshot_is_restored_after_the_node_got_another_address(server: Server) -> None:
    """As when a machine was moved to another network: its member is known under an address that is gone."""
    node = server.node
    snapshot = save(node, "moved")
    mark(node, "before-the-move")
    assert server.terminate() == 0
    node.host.attach("eth1", f"{MOVED}/24")
    node.host.write_file(Paths().config_dir / "config.yaml.d/40-moved.yaml", f"node-ip: {MOVED}\n")
    done = restore(node, snapshot)
    assert done.returncode == 0, done.stderr
    server.start()
    server.until_ready()
    assert "kept" in marks(node) and "before-the-move" not in marks(node)
    (found,) = json.loads(node.kubectl("get", "nodes", "-o", "json").stdout)["items"]
    addresses = {each["type"]: each["address"] for each in found["status"]["addresses"]}
    assert addresses["InternalIP"] == MOVED
    status = json.loads(node.rke2("status", "--output", "json").stdout)
    assert [each["peer"] for each in status["etcd"]["members"]] == [f"https://{MOVED}:2380"]


def test_a_snapshot_is_restored_on_a_new_host(server: Server, lab: Lab) -> None:
    old = server.node
    token = old.host.path(Paths().token).read_text().strip()
    snapshot = save(old, "elsewhere", "--snapshot-compress")
    new = Server(place_server(lab, "new"))
    copy = Path("/srv") / snapshot.name
    new.node.host.path(copy).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(old.host.path(snapshot), new.node.host.path(copy))
    assert server.terminate() == 0
    missing = restore(new.node, copy)
    assert missing.returncode == 1 and "please pass --token to complete the restoration" in missing.stderr
    wrong = restore(new.node, copy, "--token=not-the-token-of-that-cluster")
    assert wrong.returncode == 1
    assert "bootstrap data already found and encrypted with different token" in wrong.stderr
    assert not new.node.host.path(Paths().reset_unfinished).exists()
    done = restore(new.node, copy, f"--token={token}")
    assert done.returncode == 0, done.stderr
    new.start()
    new.until_ready()
    assert "kept" in marks(new.node)
    nodes = json.loads(new.node.kubectl("get", "nodes", "-o", "json").stdout)["items"]
    assert {each["metadata"]["name"] for each in nodes} == {"restored", "new"}
    # The keys are those of the cluster: Secrets can be read, and its tokens are good.
    assert new.node.host.path(Paths().token).read_text().strip() == token
    secrets = new.node.kubectl("get", "secrets", "--all-namespaces", "-o", "name")
    assert secrets.returncode == 0 and "secret/" in secrets.stdout
