"""What is found in the end of a log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.lifecycle.last_words import last_words


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", ""),
        ("\n \n", ""),
        ("I1126 08:00:00.1 1 main.go:1] started\nbye\n", "bye"),
        (
            "Error: unknown flag: --nonsense\nUsage:\n  kube-apiserver [flags]\n",
            "Error: unknown flag: --nonsense",
        ),
        (
            'E1126 08:57:27.739084    7139 run.go:72] "command failed" err="unknown flag: --max-pod"\n',
            '"command failed" err="unknown flag: --max-pod"',
        ),
        (
            "E1126 08:57:27.7 1 a.go:7] first\nF1126 08:57:28.7 1 a.go:7] last\nI1126 08:57:29.7 1 a.go:7] end",
            "last",
        ),
        ("panic: no disk\n\ngoroutine 1 [running]:\nmain.main()\n\t/main.go:5\n", "panic: no disk"),
        (
            '{"level":"fatal","msg":"no member"}\n{"level":"info","msg":"x"}',
            '{"level":"fatal","msg":"no member"}',
        ),
    ],
)
def test_last_words(log: str, words: str) -> None:
    assert last_words(log.splitlines()) == words


@given(st.lists(st.text()))
def test_any_log_has_some(lines: list[str]) -> None:
    words = last_words(lines)
    assert bool(words) <= any(line.strip() for line in lines)
    assert len(words.splitlines()) < 2 or any(len(line.splitlines()) > 1 for line in lines)
