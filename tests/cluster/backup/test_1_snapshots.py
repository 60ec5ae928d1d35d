"""A server's snapshots as its operator sees them: taken, listed, kept down to a number, removed, shown."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rke2.config.paths import Paths
from rke2.snapshots.receiving import check_file
from rke2.snapshots.request import VERIFIED
from rke2_lab.node import LabNode
from tests.cluster.eventually import eventually

PLACE = Paths().snapshots
BASE = "by-a-test"


def snapshot(node: LabNode, *words: str) -> subprocess.CompletedProcess[str]:
    return node.rke2("etcd-snapshot", *words, timeout=120)


def files(node: LabNode) -> list[Path]:
    place = node.host.path(PLACE)
    return sorted(place.glob(f"{BASE}-*")) if place.is_dir() else []


@pytest.fixture
def node(cluster: LabNode) -> Iterator[LabNode]:
    yield cluster
    if found := files(cluster):
        snapshot(cluster, "delete", *(path.name for path in found))


def test_a_snapshot_is_taken_listed_and_removed(node: LabNode) -> None:
    saved = snapshot(node, "save", "--name", BASE)
    assert saved.returncode == 0, saved.stderr
    (path,) = files(node)
    assert f"Snapshot {path.name} saved." in saved.stderr
    assert check_file(path).size == path.stat().st_size
    listed = snapshot(node, "ls", "-o", "json")
    items = {item["spec"]["snapshotName"]: item for item in json.loads(listed.stdout)["items"]}
    assert items[path.name]["status"]["size"] == str(path.stat().st_size)
    assert items[path.name]["spec"]["location"] == f"file://{PLACE / path.name}"
    assert path.name in snapshot(node, "ls").stdout
    gone = snapshot(node, "delete", path.name, "no-such")
    assert gone.returncode == 0
    assert f"Snapshot {path.name} deleted." in gone.stderr and "Snapshot no-such not found." in gone.stderr
    assert files(node) == []


def test_retention_keeps_the_newest(node: LabNode) -> None:
    for _ in range(3):
        assert snapshot(node, "save", "--name", BASE, "--snapshot-compress").returncode == 0
    newest = files(node)[1:]
    assert snapshot(node, "prune", "--name", BASE, "--snapshot-retention=2").returncode == 0
    assert files(node) == newest and all(path.suffix == ".zip" for path in newest)


def test_the_status_shows_the_last_and_the_next(node: LabNode) -> None:
    assert snapshot(node, "save", "--name", BASE).returncode == 0
    text = node.rke2("status", timeout=60).stdout
    line = next(line for line in text.splitlines() if line.startswith("snapshots"))
    assert f"in {PLACE}" in line and "last 20" in line and "next 20" in line
    status = json.loads(node.rke2("status", "-o", "json", timeout=60).stdout)
    assert status["snapshot"]["name"] == files(node)[-1].name


def test_what_leaves_the_directory_is_refused(node: LabNode) -> None:
    for words in (("save", "--dir=/etc"), ("save", "--name=../up"), ("ls", "--dir=/")):
        done = snapshot(node, *words)
        assert done.returncode == 1 and "invalid snapshot" in done.stderr, done


def test_the_cluster_knows_of_it(node: LabNode) -> None:
    extra = ("-n", "kube-system", "configmap", "rke2-etcd-snapshot-extra-metadata")
    assert node.kubectl("create", *extra, "--from-literal=why=before the upgrade").returncode == 0
    try:
        assert snapshot(node, "save", "--name", BASE).returncode == 0
        (path,) = files(node)
        found = eventually(lambda: _object(node, path.name), "an ETCDSnapshotFile", 60)
        assert found is not None
        assert found["spec"]["metadata"] == {"why": "before the upgrade"}
        assert found["status"]["readyToUse"] is True
        entry = eventually(lambda: _entry(node, path.name), "an entry in the ConfigMap", 60)
        assert json.loads(entry)["status"] == "successful"
        assert "ETCDSnapshotCreated" in _described(node, path.name)
        path.unlink()  # behind rke2's back: told with the next change
        assert snapshot(node, "save", "--name", BASE).returncode == 0
        eventually(lambda: _object(node, path.name) is None, "the object is gone", 60)
        eventually(lambda: _entry(node, path.name) == "", "the entry is gone", 60)
    finally:
        node.kubectl("delete", *extra)


def _object(node: LabNode, name: str) -> dict[str, Any] | None:
    listed = json.loads(node.kubectl("get", "etcdsnapshotfiles", "-o", "json").stdout)
    return next((each for each in listed["items"] if each["spec"]["snapshotName"] == name), None)


def _described(node: LabNode, name: str) -> str:
    """The object of a snapshot with its events."""
    found = _object(node, name)
    return node.kubectl("describe", "etcdsnapshotfile", found["metadata"]["name"]).stdout if found else ""


def _entry(node: LabNode, name: str) -> str:
    done = node.kubectl("-n", "kube-system", "get", "configmap", "rke2-etcd-snapshots", "-o", "json")
    return (
        str((json.loads(done.stdout).get("data") or {}).get(f"local-{name}", ""))
        if done.returncode == 0
        else ""
    )


def test_a_snapshot_is_proven(node: LabNode) -> None:
    assert snapshot(node, "save", "--name", BASE).returncode == 0
    (path,) = files(node)
    done = snapshot(node, "verify", path.name)
    assert done.returncode == 0, done.stderr
    assert f"Snapshot {path.name} restores: revision " in done.stderr
    decrypted = re.search(r"(\d+) Secrets decrypted", done.stderr)
    assert decrypted and int(decrypted[1]) > 0, done.stderr
    line = next(line for line in snapshot(node, "ls").stdout.splitlines() if line.startswith(path.name))
    assert line.split()[-1] != "-"
    assert "last proven 20" in node.rke2("status", timeout=60).stdout
    found = eventually(lambda: _verified(node, path.name), "the object tells of it", 60)
    assert found and not found.startswith("failed")
    eventually(lambda: "ETCDSnapshotVerified" in _described(node, path.name), "an event tells of it", 60)
    # One byte: RKE2 would find out at the restore.
    with path.open("r+b") as file:
        file.seek(5000)
        byte = file.read(1)[0]
        file.seek(5000)
        file.write(bytes([byte ^ 1]))
    done = snapshot(node, "verify", "--last")
    assert done.returncode == 1 and "does not restore" in done.stderr and "expected sha256" in done.stderr
    line = next(line for line in snapshot(node, "ls").stdout.splitlines() if line.startswith(path.name))
    assert line.split()[-2] == "failed"
    assert f"{path.name} does not restore: " in node.rke2("status", timeout=60).stdout
    eventually(lambda: "failed" in _verified(node, path.name), "the object tells of that, too", 60)
    eventually(lambda: "ETCDSnapshotVerifyFailed" in _described(node, path.name), "and an event", 60)
    assert not node.host.path(Paths().drill_scratch).exists()


def _verified(node: LabNode, name: str) -> str:
    found = _object(node, name)
    return str(found["metadata"].get("annotations", {}).get(VERIFIED, "")) if found else ""
