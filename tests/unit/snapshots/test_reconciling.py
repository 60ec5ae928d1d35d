"""What has to be done for objects to be those of the files."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rke2.config.model import S3Settings
from rke2.kube.objects import Object, name_of
from rke2.snapshots import objects
from rke2.snapshots.directory import SnapshotFile
from rke2.snapshots.failures import Failed
from rke2.snapshots.reconciling import plan
from rke2.snapshots.store import StoredSnapshot

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def wanted(*numbers: int) -> dict[str, Object]:
    made = (objects.of_file(SnapshotFile(Path(f"/s/s-n-{number}"), 1, number), "n") for number in numbers)
    return {name_of(each): each for each in made}


def live(obj: Object, **changes: Any) -> Object:
    made = copy.deepcopy(obj)
    made["metadata"] |= {"uid": "1", "resourceVersion": "7", **changes}
    return made


@given(st.sets(st.integers(1, 30)), st.sets(st.integers(1, 30)))
def test_what_is_there_without_a_file_goes_and_files_come(there: set[int], files: set[int]) -> None:
    present = [live(each) for each in wanted(*there).values()]
    made = plan(present, wanted(*files), NOW)
    assert {name_of(each) for each in made.create} == set(wanted(*(files - there)))
    assert {name_of(each) for each in made.delete} == set(wanted(*(there - files)))
    assert made.update == []


def test_what_somebody_changed_is_put_right_and_what_they_added_stays() -> None:
    (right,) = wanted(1).values()
    changed = live(right, labels={"mine": "yes"}, annotations={"note": "keep"}, finalizers=[])
    changed["status"] = {"readyToUse": False}
    (update,) = plan([changed], wanted(1), NOW).update
    assert update["metadata"]["labels"] == {"mine": "yes", **right["metadata"]["labels"]}
    assert update["metadata"]["annotations"] == {"note": "keep"}
    assert update["metadata"]["finalizers"] == right["metadata"]["finalizers"]
    assert update["metadata"]["resourceVersion"] == "7"
    assert update["status"] == right["status"]


def test_an_object_that_is_being_deleted_is_left_to_go() -> None:
    going = live(next(iter(wanted(1).values())), deletionTimestamp="2026-11-30T12:00:00Z")
    made = plan([going], wanted(1), NOW)
    assert made.create == made.update == made.delete == []


def test_a_failure_is_shown_for_a_day() -> None:
    failed = live(objects.of_failure(Failed("s-n-1", int(NOW.timestamp()), "no space"), "n"))
    assert plan([failed], {}, NOW + timedelta(hours=23)).delete == []
    assert plan([failed], {}, NOW + timedelta(hours=25)).delete == [failed]
    failed["status"]["error"]["time"] = "nonsense"
    assert plan([failed], {}, NOW).delete == [failed]


def test_an_object_of_s3_that_a_listing_lacks_stays_for_a_minute() -> None:
    """Another server uploads while this one has the listing already."""
    made = objects.of_stored(StoredSnapshot(S3Settings(bucket="b"), "s-n-1", 1, 1))
    young = live(made, creationTimestamp=(NOW - timedelta(seconds=30)).isoformat())
    old = live(made, creationTimestamp=(NOW - timedelta(seconds=90)).isoformat())
    assert plan([young], {}, NOW).delete == []
    assert plan([old], {}, NOW).delete == [old]


def test_a_failed_copy_is_an_object_of_s3() -> None:
    failed = objects.of_failure(Failed("s-n-1", 1, "why", S3Settings(bucket="b")), "n")
    assert failed["metadata"]["name"].startswith("s3-s-n-1-")
    assert failed["metadata"]["labels"] == {objects.STORAGE_NODE: "s3"}
    assert failed["spec"]["nodeName"] == "s3" and failed["spec"]["location"] == ""
