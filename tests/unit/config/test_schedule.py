"""Cron expressions: what robfig/cron reads, and when it is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.config.schedule import local_zone, parse_schedule

NOON = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("0 */12 * * *", datetime(2026, 12, 1, 0, 0, tzinfo=UTC)),
        ("5/15 * * * *", datetime(2026, 11, 30, 12, 5, tzinfo=UTC)),
        ("0 0 ? * MON", datetime(2026, 12, 7, 0, 0, tzinfo=UTC)),
        ("  0 3 * * *  ", datetime(2026, 12, 1, 3, 0, tzinfo=UTC)),
        ("@daily", datetime(2026, 12, 1, 0, 0, tzinfo=UTC)),
        ("@hourly", datetime(2026, 11, 30, 13, 0, tzinfo=UTC)),
        ("@every 6h", datetime(2026, 11, 30, 18, 0, tzinfo=UTC)),
        ("@every 1h30m", datetime(2026, 11, 30, 13, 30, tzinfo=UTC)),
        ("CRON_TZ=Europe/Berlin 0 3 * * *", datetime(2026, 12, 1, 2, 0, tzinfo=UTC)),
        ("TZ=Asia/Tokyo 0 22 * * *", datetime(2026, 11, 30, 13, 0, tzinfo=UTC)),
        ("CRON_TZ=UTC @daily", datetime(2026, 12, 1, 0, 0, tzinfo=UTC)),
    ],
)
def test_an_expression_is_due(text: str, due: datetime) -> None:
    assert parse_schedule(text, UTC).after(NOON) == due


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected 5 fields"),
        ("0 0 * *", "found 4"),
        ("0 0 0 * * *", "found 6"),
        ("60 * * * *", "Bad minute"),
        ("0 0 31 2 *", "day"),
        ("@fortnightly", "expected 5 fields"),
        ("@every", "expected 5 fields"),
        ("@every soon", "expected a duration"),
        ("@every 10ms", "at least one second"),
        ("@every -1h", "at least one second"),
        ("CRON_TZ=Mars/Base 0 0 * * *", "time zone 'Mars/Base'"),
        ("CRON_TZ=../../etc/passwd 0 0 * * *", "time zone"),
        ("CRON_TZ=UTC", "found 0"),
    ],
)
def test_what_is_no_expression_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_schedule(text, UTC)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("0 0 */2 * 1", "1 3 5 7 9"),
        ("0 0 ?/2 * 1", "1 3 5 7 9"),
        ("0 0 */02 * 1", "1 3 5 7 9"),
        ("0 0 1 * */2", "1 3 5 6 8"),
        ("0 0 */2 * */2", "1 3 5 6 7"),
        ("0 0 */1 * 1", "7 14 21 28 4"),
        ("0 0 *,5 * 1", "7 14 21 28 4"),
        ("0 0 1-31 * 1", "1 2 3 4 5"),
    ],
)
def test_days_of_month_and_of_week_are_those_of_robfig(text: str, days: str) -> None:
    """What github.com/robfig/cron/v3 v3.0.1 answers after 30 November 2026."""
    schedule, moment, found = parse_schedule(text, UTC), NOON, []
    for _ in range(5):
        moment = schedule.after(moment)
        found.append(str(moment.day))
    assert " ".join(found) == days


@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_a_value_error(text: str) -> None:
    try:
        schedule = parse_schedule(text, UTC)
    except ValueError:
        return
    assert schedule.after(NOON) > NOON


@given(st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)).map(lambda d: d.replace(tzinfo=UTC)))
def test_between_two_times_that_follow_one_another_there_is_none(moment: datetime) -> None:
    schedule = parse_schedule("0 */12 * * *", BERLIN)
    before, after = schedule.before(moment), schedule.after(moment)
    assert before is not None and before < moment < after
    assert timedelta(hours=11) <= after - before <= timedelta(hours=25)
    assert schedule.before(after) in (before, moment.astimezone(BERLIN))


def test_a_day_without_the_hour_has_its_snapshot_all_the_same() -> None:
    spring = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)
    schedule = parse_schedule("30 2 * * *", BERLIN)
    first = schedule.after(spring)
    assert first.date().isoformat() == "2026-03-29"
    assert schedule.after(first).date().isoformat() == "2026-03-30"


def test_the_zone_of_the_host(tmp_path: Path) -> None:
    none = tmp_path / "none"
    assert local_zone({}, none) is UTC
    assert str(local_zone({"TZ": "Asia/Tokyo"}, none)) == "Asia/Tokyo"
    assert local_zone({"TZ": "nonsense"}, none) is UTC
    (tmp_path / "localtime").write_bytes(b"not a time zone")
    assert local_zone({}, tmp_path / "localtime") is UTC
