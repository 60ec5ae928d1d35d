"""Warnings about refused requests: enough to see them, too few to fill a disk."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rke2.supervisor.refusals import Refusals, printable

Lines = Callable[[], list[str]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    def read() -> list[str]:
        found = [record.getMessage() for record in caplog.records]
        assert {record.levelname for record in caplog.records} <= {"WARNING"}
        caplog.clear()
        return found

    return read


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_refusal_names_request_client_and_reason(lines: Lines) -> None:
    Refusals().tell("GET /x", "192.0.2.1", "not authorized")
    Refusals().tell("GET /x", "", "forbidden")
    assert lines() == [
        "Refused GET /x to 192.0.2.1: not authorized",
        "Refused GET /x to a client that is gone: forbidden",
    ]


def test_a_few_of_one_client_in_a_minute_and_a_few_of_all(lines: Lines) -> None:
    clock = Clock()
    refusals = Refusals(most=4, most_of_one=2, clock=clock)
    for number in (1, 1, 1, 2, 3, 3, 4, 5):
        refusals.tell("GET /x", f"192.0.2.{number}", "no")
    assert [line.split(" to ")[1] for line in lines()] == [f"192.0.2.{n}: no" for n in (1, 1, 2, 3)]
    clock.now += 60
    refusals.tell("GET /x", "192.0.2.1", "no")
    assert lines() == ["4 more requests were refused meanwhile", "Refused GET /x to 192.0.2.1: no"]


def test_addresses_of_one_network_are_one_client(lines: Lines) -> None:
    refusals = Refusals(most_of_one=2)
    for number in range(1, 10):
        refusals.tell("GET /x", f"2001:db8::{number}", "no")
    assert len(lines()) == 2


def test_what_is_remembered_is_bounded(lines: Lines) -> None:
    refusals = Refusals()
    for number in range(10_000):
        refusals.tell("GET /x", f"10.0.{number // 256}.{number % 256}", "no")
    assert len(refusals._told) <= 60
    assert len(lines()) == 60


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("two\nlines", "'two\\nlines'"),
        ("\x1b[2J", "'\\x1b[2J'"),
        ("\u2028", "'\\u2028'"),
        ("x" * 1000, "x" * 200 + "…"),
    ],
)
def test_no_client_writes_lines_of_its_own(text: str, shown: str) -> None:
    assert printable(text) == shown
