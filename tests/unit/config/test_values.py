from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.config.values import parse_bool, parse_duration, parse_int, split_commas


@pytest.mark.parametrize("text", ["1", "t", "T", "true", "TRUE", "True"])
def test_true_as_go_spells_it(text: str) -> None:
    assert parse_bool(text) is True


@pytest.mark.parametrize("text", ["yes", "on", "", "tRUE", "2"])
def test_other_words_are_no_booleans(text: str) -> None:
    with pytest.raises(ValueError, match="true or false"):
        parse_bool(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("100ms", 0.1),
        ("-2m", -120),
    ],
)
def test_durations_as_go_writes_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "5minutes", "--5m", "5m3"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@given(st.integers(0, 10_000), st.integers(0, 59), st.integers(0, 59))
def test_durations_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert parse_duration(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds


@given(st.integers())
def test_integers_round_trip(number: int) -> None:
    assert parse_int(str(number)) == number


@pytest.mark.parametrize("text", ["", "1.0", "0x10", "1_000", "٣", " 1"])
def test_no_integers(text: str) -> None:
    with pytest.raises(ValueError, match="integer"):
        parse_int(text)


@given(st.lists(st.lists(st.text("abc=-", min_size=1), min_size=1)))
def test_splitting_undoes_joining(groups: list[list[str]]) -> None:
    joined = tuple(" , ".join(group) for group in groups)
    assert split_commas(joined) == tuple(part for group in groups for part in group)
