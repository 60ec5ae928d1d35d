from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.etcd.learners import LearnerProgress, advanced
from rke2.etcd.messages import Member

LEARNER = Member(7, "n2-0")
THEN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = THEN + timedelta(minutes=1)
RECORD = LearnerProgress(7, "n2-0", 10, THEN)


def test_a_learner_that_gets_further_is_recorded() -> None:
    assert advanced(RECORD, LEARNER, 11, NOW) == LearnerProgress(7, "n2-0", 11, NOW)


@pytest.mark.parametrize("index", [10, 9, 0])
def test_one_that_does_not_keeps_its_record(index: int) -> None:
    assert advanced(RECORD, LEARNER, index, NOW) is RECORD


@pytest.mark.parametrize("record", [None, LearnerProgress(8, "n3-0", 99, THEN)])
def test_another_learner_begins_anew(record: LearnerProgress | None) -> None:
    assert advanced(record, LEARNER, 0, NOW) == LearnerProgress(7, "n2-0", 0, NOW)


@given(st.binary(max_size=20) | st.sampled_from([b"{}", b"[]", b"null", b'{"id":1,"lastProgress":null}']))
def test_an_unusable_record_counts_as_none(value: bytes) -> None:
    assert LearnerProgress.decode(value) is None


def test_the_record_may_have_another_time_zone() -> None:
    record = LearnerProgress.decode(
        b'{"id":7,"raftAppliedIndex":10,"lastProgress":"2026-01-01T01:00:00+01:00"}'
    )
    assert record and record.last_progress == THEN
