"""ETCDSnapshotFile objects: names that the API takes, for every file and node."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from rke2.snapshots.directory import SnapshotFile
from rke2.snapshots.failures import Failed
from rke2.snapshots.objects import config_map_key, listed, object_name, of_failure, of_file

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


@given(
    st.text(min_size=1, max_size=300), st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
)
def test_every_file_has_a_valid_name(file: str, node: str) -> None:
    name = object_name(file, node, f"file:///s/{file}", 1700000000)
    assert _SUBDOMAIN.fullmatch(name) and len(name) <= 253
    assert re.fullmatch(r"[-._a-zA-Z0-9]+", config_map_key(file))


def test_the_digits_tell_nodes_and_places_apart() -> None:
    names = {
        object_name("s-1", node, location, 1)
        for node in ("a", "b")
        for location in ("file:///x/s-1", "file:///y/s-1")
    }
    assert len(names) == 4


def test_a_name_that_is_none_becomes_one() -> None:
    name = object_name("weird name-12.zip", "node1.example.com", "file:///s", 12)
    assert name.startswith("local-etcd-snapshot-node1-12.zip-")


def test_the_object_of_a_snapshot() -> None:
    snapshot = SnapshotFile(Path("/s/etcd-snapshot-node1-1700000000"), 1234, 1700000000, {"why": "test"})
    made = of_file(snapshot, "node1", "0123456789ab")
    assert made["metadata"]["name"].startswith("local-etcd-snapshot-node1-1700000000-")
    assert made["metadata"]["labels"] == {"etcd.rke2.cattle.io/snapshot-storage-node": "node1"}
    assert made["metadata"]["annotations"] == {"etcd.rke2.cattle.io/snapshot-token-hash": "0123456789ab"}
    assert made["spec"] == {
        "snapshotName": "etcd-snapshot-node1-1700000000",
        "nodeName": "node1",
        "location": "file:///s/etcd-snapshot-node1-1700000000",
        "metadata": {"why": "test"},
    }
    assert made["status"] == {"readyToUse": True, "creationTime": "2023-11-14T22:13:20Z", "size": "1234"}


def test_a_failure_has_its_reason_and_no_place() -> None:
    made = of_failure(Failed("s-node1-1700000000", 1700000000, "disk full"), "node1")
    assert made["spec"]["location"] == ""
    assert made["status"]["readyToUse"] is False
    assert made["status"]["error"] == {"time": "2023-11-14T22:13:20Z", "message": "disk full"}


def test_a_list_is_called_by_keys() -> None:
    answer = listed([SnapshotFile(Path("/s/a+b-n-1"), 1, 1)], "n")
    assert (answer["kind"], answer["apiVersion"]) == ("List", "v1")
    assert answer["items"][0]["metadata"]["name"] == "local-a_b-n-1"
