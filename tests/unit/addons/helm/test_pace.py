from __future__ import annotations

import time
from itertools import pairwise

import pytest

from rke2.addons.helm.pace import RerunPace
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
