from __future__ import annotations

import time
from itertools import pairwise

import pytest

from rke2.addons.helm.pace import RerunPace, UpgradePace
from rke2.kube.objects import Key

KEY = Key("ns", "demo")


def test_repetitions_slow_down_until_the_configuration_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    charts = RerunPace()
    waits = []
    for _ in range(9):
        waits.append(charts.remaining(KEY, "hash"))
        now += waits[-1]
        charts.started(KEY, "hash")
    assert waits[0] == 0
    assert all(longer > shorter for shorter, longer in pairwise(waits[:7]))
    assert 50 < waits[-1] <= 60
    assert charts.remaining(KEY, "another hash") == 0
    charts.started(KEY, "another hash")
    assert 0 < charts.remaining(KEY, "another hash") <= 1


def test_charts_are_upgraded_two_at_a_time() -> None:
    charts, keys = UpgradePace(), [Key("ns", name) for name in "abc"]
    assert [charts.begin(key) for key in keys] == [True, True, False]
    assert charts.begin(keys[0]), "its job is made again"
    assert not charts.begin(keys[2])
    charts.ended(keys[1])
    assert charts.begin(keys[2])
    assert not charts.begin(keys[1])


def test_a_job_that_takes_long_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    charts, keys = UpgradePace(), [Key("ns", name) for name in "abcd"]
    assert all(charts.begin(key) for key in keys[:2])
    now += UpgradePace.LONGEST
    assert [charts.begin(key) for key in (*keys[2:], keys[0])] == [True, True, False]
