"""When a file is worked on, and what is told when that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from rke2.addons.apply import ApplyError
from rke2.addons.attempts import Attempts, Failure, kind_of
from rke2.errors import KubeError

KEY = (Path("/m/a.yaml"), "")


def begun(mtime_ns: int = 5) -> Attempts:
    attempts = Attempts()
    attempts.begin(KEY, mtime_ns)
    return attempts


def test_a_file_is_due_until_it_is_done_and_when_it_changes() -> None:
    attempts = Attempts()
    assert attempts.is_due(KEY, 5, now=0)
    attempts.begin(KEY, 5)
    attempts.done(KEY, applied=True)
    assert attempts.applied(KEY)
    assert not attempts.is_due(KEY, 5, now=1e9)
    assert attempts.is_due(KEY, 6, now=0)
    attempts.begin(KEY, 6)
    assert attempts.applied(KEY)
    attempts.again(KEY[0])
    assert attempts.is_due(KEY, 6, now=1)
    assert not attempts.applied(KEY)


def test_without_a_time_of_change_a_file_is_always_due() -> None:
    attempts = begun(0)
    attempts.done(KEY, applied=True)
    assert attempts.is_due(KEY, 0, now=0)


@pytest.mark.parametrize("failure", list(Failure))
def test_pauses_grow_to_their_limit(failure: Failure) -> None:
    attempts, now = begun(), 0.0
    for _ in range(20):
        attempts.failed(KEY, failure, "why", now)
        pause, now = attempts.due - now, attempts.due
        if failure is Failure.BROKEN:
            assert pause == float("inf")
            return
        assert not attempts.is_due(KEY, 5, now - 0.01)
        assert attempts.is_due(KEY, 5, now)
    assert 0.9 * failure.pause <= pause <= failure.pause


def test_a_failure_is_told_once_until_it_or_the_file_changes() -> None:
    attempts = begun()
    assert attempts.failed(KEY, Failure.REFUSED, "why", 0)
    assert not attempts.failed(KEY, Failure.REFUSED, "why", 1)
    assert not attempts.failed(KEY, Failure.OUTAGE, "away", 2)
    assert not attempts.failed(KEY, Failure.REFUSED, "why", 3)
    assert attempts.failed(KEY, Failure.REFUSED, "another", 4)
    attempts.begin(KEY, 6)
    assert attempts.failed(KEY, Failure.REFUSED, "another", 5)


def test_removed_files_are_forgotten() -> None:
    attempts = begun()
    gone = (KEY[0], "a")
    attempts.begin(gone, -1)
    assert attempts.forget({gone}) == []
    assert attempts.forget(set()) == [KEY[0]]


@pytest.mark.parametrize(
    ("statuses", "failure"),
    [
        ([422], Failure.REFUSED),
        ([400, 422], Failure.REFUSED),
        ([422, 404], Failure.PASSING),
        ([422, 0], Failure.OUTAGE),
        ([403], Failure.PASSING),
        ([500], Failure.PASSING),
    ],
)
def test_what_errors_mean_for_a_file(statuses: list[int], failure: Failure) -> None:
    errors = [KubeError("why", status=status) for status in statuses]
    assert kind_of(ApplyError(errors)) is failure
    if len(errors) == 1:
        assert kind_of(errors[0]) is failure
