from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.kube.duration import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("10m", "10m0s"),
        ("1h", "1h0m0s"),
        ("90s", "1m30s"),
        ("1.5h", "1h30m0s"),
        ("300ms", "300ms"),
        ("1s500ms", "1.5s"),
        ("2us", "2µs"),
        ("7ns", "7ns"),
        ("-5m", "-5m0s"),
        ("0", "0s"),
        (".5s", "500ms"),
    ],
)
def test_canonical_form(text: str, canonical: str) -> None:
    assert format_duration(parse_duration(text)) == canonical


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "5d", "1h-5m", "s5"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@given(st.integers(-(2**62), 2**62))
def test_formatting_loses_nothing(nanoseconds: int) -> None:
    seconds = Fraction(nanoseconds, 10**9)
    assert parse_duration(format_duration(seconds)) == seconds
