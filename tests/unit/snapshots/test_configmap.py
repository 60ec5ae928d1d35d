"""Entries of the ConfigMap: which there are, and which go."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from rke2.config.model import S3Settings
from rke2.kube.objects import Object
from rke2.snapshots import objects
from rke2.snapshots.configmap import entry, key_of_object, swept, without_oldest
from rke2.snapshots.directory import SnapshotFile
from rke2.snapshots.failures import Failed
from rke2.snapshots.reconciling import S3_TIMESTAMP, TIMESTAMP
from rke2.snapshots.store import Described, StoredSnapshot


def snapshot(number: int, node: str = "n", **extra: str) -> Object:
    return objects.of_file(SnapshotFile(Path(f"/s/s-{node}-{number}.zip"), 5, number, extra), node)


def node(name: str, *, stamped: bool = True) -> Object:
    return {"metadata": {"name": name, "annotations": {TIMESTAMP: "now"} if stamped else {}}}


def test_an_entry_is_what_rancher_reads() -> None:
    value = json.loads(entry(snapshot(1700000000, why="test")) or "")
    assert json.loads(base64.b64decode(value.pop("metadata"))) == {"why": "test"}
    assert value == {
        "name": "s-n-1700000000.zip",
        "location": "file:///s/s-n-1700000000.zip",
        "nodeName": "n",
        "createdAt": "2023-11-14T22:13:20Z",
        "size": 5,
        "status": "successful",
        "compressed": True,
    }
    assert key_of_object(snapshot(1)) == "local-s-n-1.zip"
    assert entry(snapshot(1)) is None


def test_a_failure_has_its_message() -> None:
    failed = objects.of_failure(Failed("s-n-1", 1, "no space"), "n")
    failed["spec"]["metadata"] = {"why": "test"}
    value = json.loads(entry(failed) or "")
    assert base64.b64decode(value["message"]) == b"no space"
    assert value["status"] == "failed" and "location" not in value


def test_the_oldest_go_first() -> None:
    data = {f"k{number}": entry(snapshot(number, why="x")) or "" for number in (30, 10, 20)} | {"broken": "{"}
    assert list(without_oldest(data, 2)) == ["k30", "k20"]
    assert without_oldest(data, 9) == {}


def test_a_full_pass_takes_what_nobody_has() -> None:
    there, gone = snapshot(1, why="x"), snapshot(2, why="x")
    of_old, of_left = snapshot(3, "old", why="x"), snapshot(4, "left", why="x")
    data = {key_of_object(each): entry(each) or "" for each in (there, gone, of_old, of_left)}
    assert swept(data, [there], [node("n", stamped=False)]) == data
    after = swept(data, [there], [node("n"), node("old", stamped=False)])
    assert set(after) == {key_of_object(there), key_of_object(of_old)}


def stored(number: int) -> Object:
    store = S3Settings(endpoint="h", bucket="b", folder="f", access_key="a", secret_key="hidden")
    about = Described("n", "c", "0123456789ab", None, {"why": "test"})
    return objects.of_stored(StoredSnapshot(store, f"f/s-n-{number}", 5, number, about))


def test_an_entry_in_s3_says_where_and_no_keys() -> None:
    text = entry(stored(1700000000)) or ""
    value = json.loads(text)
    assert value["nodeName"] == "s3" and value["location"] == "s3://b/f/s-n-1700000000"
    assert value["s3Config"] == {
        "endpoint": "h", "bucket": "b", "region": "us-east-1", "folder": "f", "timeout": "0s"
    }  # fmt: skip
    assert key_of_object(stored(1)) == "s3-s-n-1"
    assert "hidden" not in text


def test_entries_in_s3_go_when_a_node_has_listed_it() -> None:
    data = {key_of_object(stored(1)): entry(stored(1)) or ""}
    assert swept(data, [], [node("n")]) == data
    listed = node("n")
    listed["metadata"]["annotations"][S3_TIMESTAMP] = "now"
    assert swept(data, [], [listed]) == {}
    assert swept(data, [stored(1)], [listed]) == data
