from __future__ import annotations

from datetime import timedelta

import pytest

from rke2.host.clocks import duration


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(), "0s"),
        (timedelta(seconds=59), "59s"),
        (timedelta(minutes=-3, seconds=-2), "3m2s"),
        (timedelta(hours=3, minutes=12, seconds=5), "3h12m"),
        (timedelta(days=2, minutes=5), "2d0h"),
    ],
)
def test_duration(span: timedelta, words: str) -> None:
    assert duration(span) == words
