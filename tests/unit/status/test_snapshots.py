"""What ``rke2 status`` says of snapshots: the newest on disk, the next by the schedule, and where."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2.config.model import S3Settings
from rke2.lifecycle.progress import SnapshotSchedule
from rke2.status.report import StatusReport
from rke2.status.snapshots import LastSnapshot, last_snapshot
from rke2.status.text import as_text
from tests.unit.status import reports

DUE = 1796040000.0


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def line(schedule: SnapshotSchedule | None, last: LastSnapshot | None, pid: int | None = reports.PID) -> str:
    report: StatusReport = reports.healthy_server()
    assert report.process
    report.process.snapshots = schedule
    shown = as_text(dataclasses.replace(report, snapshot=last, pid=pid), now=reports.NOW)
    return next((each for each in shown.splitlines() if each.startswith("snapshots")), "")


def test_the_last_the_next_and_the_place() -> None:
    schedule = SnapshotSchedule("/backups", "0 */12 * * *", "UTC", DUE)
    last = LastSnapshot("etcd-snapshot-server-0-1795996800", 12 << 20, 1795996800)
    shown = "last 2026-11-30 00:00 UTC (12 MiB), none proven yet, next 2026-11-30 12:00 UTC, in /backups"
    assert line(schedule, last).split(maxsplit=1)[1] == shown
    assert "none yet, next 2026-11-30" in line(schedule, None)
    proven = dataclasses.replace(last, proven=1795996860)
    assert "(12 MiB), last proven 2026-11-30 00:01 UTC, none scheduled, in" in line(
        SnapshotSchedule("/backups"), proven
    )


def test_one_that_does_not_restore_is_told_once() -> None:
    words = "etcd-snapshot-server-0-1 does not restore: expected sha256 a, got b"
    last = LastSnapshot("etcd-snapshot-server-0-1", 12 << 20, 1795996800, unproven=(words,))
    report = dataclasses.replace(reports.healthy_server(), snapshot=last)
    assert f"  snapshot {words}" in as_text(report, now=reports.NOW).splitlines()
    assert report.process
    report.process.troubles["etcd snapshot drill"] = f"snapshot {words}"
    assert as_text(report, now=reports.NOW).count(words) == 1


def test_the_place_in_s3_is_shown() -> None:
    schedule = SnapshotSchedule("/backups", store="s3://snapshots/a/b at minio.example.org:9000")
    shown = line(schedule, None, pid=None)
    assert shown.endswith("none yet, in /backups and s3://snapshots/a/b at minio.example.org:9000")


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        (S3Settings(bucket="b", endpoint="h:1", folder="/a/c/"), "s3://b/a/c at h:1"),
        (S3Settings(bucket="b"), "s3://b at s3.amazonaws.com"),
        (S3Settings(config_secret="keys", retention=3), "the S3 store of Secret keys"),
    ],
)
def test_a_store_is_named_as_it_is_found(settings: S3Settings, place: str) -> None:
    assert settings.place == place


def test_a_node_that_does_not_run_has_no_next_one() -> None:
    schedule = SnapshotSchedule("/backups", "0 */12 * * *", "UTC", DUE)
    assert line(schedule, None, pid=None).endswith("none yet, in /backups")


def test_a_node_without_a_member_says_nothing() -> None:
    assert line(None, None) == ""


def test_the_newest_on_disk_is_the_last(tmp_path: Path) -> None:
    schedule = SnapshotSchedule(str(tmp_path))
    assert last_snapshot(schedule) is None
    for name in ("s-n-20", "s-n-30.zip", "s-n-10", "s-n-40.part"):
        (tmp_path / name).write_bytes(b"data")
    assert last_snapshot(schedule) == LastSnapshot("s-n-30.zip", 4, 30)
    assert last_snapshot(SnapshotSchedule(str(tmp_path / "missing"))) is None
