"""How long saving and reconciling took, by RKE2's names (day2 reference §3.10), and what snapshots there are.

RKE2 counts a save or comparison as a whole as a success whatever became of it; here the label tells the truth.
"""

from __future__ import annotations

from collections.abc import Iterable

from rke2.metrics.counting import Histogram, exponential
from rke2.metrics.families import Family, gauge, labelled
from rke2.snapshots.directory import SnapshotFile

_PREFIX = "rke2_etcd_snapshot"
_BOUNDS = exponential(0.008, 2, 15)
_OUTCOMES = [labelled(status=status) for status in ("success", "failure")]


def _histogram(what: str, help: str) -> Histogram:
    return Histogram(
        f"{_PREFIX}_{what}_duration_seconds", f"{help}, by success or failure.", _BOUNDS, _OUTCOMES
    )


class Durations:
    """The histograms; who does the work fills them with `Histogram.timed`."""

    def __init__(self) -> None:
        self.save = _histogram(
            "save", "Time in seconds taken to save a snapshot, retention and copy included"
        )
        self.save_local = _histogram("save_local", "Time in seconds taken to save a snapshot on this server")
        self.save_s3 = _histogram("save_s3", "Time in seconds taken to copy a snapshot to S3")
        self.reconcile = _histogram("reconcile", "Time in seconds taken to compare snapshots and objects")
        self.reconcile_local = _histogram("reconcile_local", "The part of it for files on this server")
        self.reconcile_s3 = _histogram("reconcile_s3", "The part of it for files in S3")

    def families(self) -> tuple[Family, ...]:
        histograms: Iterable[Histogram] = vars(self).values()
        return tuple(each.family() for each in histograms)


def of_files(snapshots: Iterable[SnapshotFile]) -> tuple[Family, ...]:
    """The snapshots in this server's directory."""
    listed = list(snapshots)
    newest = max(listed, key=lambda each: each.taken, default=None)
    verdicts = [each.verdict for each in listed if each.verdict]
    drill = max(verdicts, key=lambda verdict: verdict.at, default=None)
    families = [gauge(f"{_PREFIX}_files", "Snapshots in the directory of this server.", len(listed))]
    if newest:
        families += [
            gauge(
                f"{_PREFIX}_newest_timestamp_seconds",
                "When the newest of them was taken, Unix time.",
                newest.taken,
            ),
            gauge(f"{_PREFIX}_newest_size_bytes", "The size of the newest of them.", newest.size),
        ]
    if drill:
        result = labelled(result="failure" if drill.failure else "success")
        help = "When one of them was last restored for a trial, Unix time, by the result."
        families.append(gauge(f"{_PREFIX}_verified_timestamp_seconds", help, {result: drill.at}))
    return tuple(families)
