"""What is said of trouble with the API server: an outage is one thing, a refusal another."""

from __future__ import annotations

import logging

import pytest

from rke2.errors import KubeError
from rke2.kube.persistence import Outage, is_outage, is_refusal

UNREACHABLE = KubeError("connection refused", reason="Unreachable")
INVALID = KubeError("spec.x: Required value", status=422)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def test_the_first_failure_of_an_outage_is_not_worth_a_line(said: pytest.LogCaptureFixture) -> None:
    outage = Outage("the work")
    outage.failed(UNREACHABLE)
    outage.over()
    assert said.messages == []
    for _ in range(3):
        outage.failed(UNREACHABLE)
    assert said.messages == ["the work: connection refused; trying again"]
    outage.over()
    assert said.messages[1].startswith("the work: works again after")


def test_a_refusal_is_told_at_once_once_and_as_what_it_is(said: pytest.LogCaptureFixture) -> None:
    outage = Outage("the work")
    for _ in range(3):
        outage.failed(INVALID)
    assert said.messages == ["the work: refused, and asked for again now and then: spec.x: Required value"]


@pytest.mark.parametrize(
    ("status", "outage", "refusal"),
    [
        (0, True, False),
        (401, True, False),
        (409, True, False),
        (429, True, False),
        (503, True, False),
        (400, False, True),
        (413, False, True),
        (422, False, True),
        (403, False, False),
        (404, False, False),
        (500, False, False),
    ],
)
def test_which_answers_are_which(status: int, outage: bool, refusal: bool) -> None:
    error = KubeError("why", status=status)
    assert (is_outage(error), is_refusal(error)) == (outage, refusal)
