"""What a node answers: by its journal, its release, and what it has said before."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from rke2.rollout.node_request import UpgradeAnswer, UpgradeRequest
from rke2.rollout.node_side import Response, respond

from .worlds import START

OLD, NEW = "v1.36.4+rke2py1", "v1.37.2+rke2py1"
UPGRADE = UpgradeRequest(NEW, "system-upgrade/p", "h")
STAGE = UpgradeRequest(NEW, "system-upgrade/p", "h", stage=True)
BEGIN = "begin"


@dataclass(frozen=True)
class Written:
    version: str
    step: str
    reason: str = ""
    since: float = 0.0


def says(step: str, reason: str = "", digest: str = "h") -> UpgradeAnswer:
    return UpgradeAnswer(NEW, digest, step, reason)


def outcome(response: Response) -> str:
    if response.begin:
        return BEGIN
    return response.answer.step if response.answer else ""


@pytest.mark.parametrize(
    ("request_", "said", "journal", "running", "expected"),
    [
        (None, says("done"), None, OLD, ""),
        (STAGE, None, None, OLD, BEGIN),
        (STAGE, says("staging"), Written(NEW, "staging"), OLD, ""),
        (STAGE, says("staging"), Written(NEW, "staged"), OLD, "staged"),
        (STAGE, says("staged"), Written(NEW, "staged"), OLD, ""),
        (UPGRADE, says("staged"), Written(NEW, "staged"), OLD, BEGIN),
        (UPGRADE, says("switching"), Written(NEW, "keeping"), OLD, ""),
        (UPGRADE, says("switching"), Written(NEW, "proving"), NEW, "proving"),
        (UPGRADE, says("proving"), Written(NEW, "done"), NEW, "done"),
        (UPGRADE, says("done"), Written(NEW, "done"), NEW, ""),
        (UPGRADE, says("proving"), Written(NEW, "rolling-back"), NEW, "switching"),
        (UPGRADE, says("proving"), Written(NEW, "rolled-back"), OLD, "rolled-back"),
        (UPGRADE, says("rolled-back"), Written(NEW, "rolled-back"), OLD, ""),
        # Tried again: the operator has removed the answer, or another Plan asks.
        (UPGRADE, None, Written(NEW, "rolled-back"), OLD, BEGIN),
        (UPGRADE, says("failed", digest="other"), Written(NEW, "failed"), OLD, BEGIN),
        # Refused before anything was begun.
        (UPGRADE, says("failed"), None, OLD, ""),
        # Killed before the journal was written.
        (UPGRADE, says("switching"), None, OLD, BEGIN),
        (UPGRADE, None, Written("v1.36.5+rke2py1", "done"), OLD, BEGIN),
        # It runs already.
        (STAGE, None, None, NEW, "done"),
        (UPGRADE, says("done"), None, NEW, ""),
    ],
)
def test_what_follows_from_a_request(
    request_: UpgradeRequest | None,
    said: UpgradeAnswer | None,
    journal: Written | None,
    running: str,
    expected: str,
) -> None:
    assert outcome(respond(request_, said, journal, running, START)) == expected


def test_reasons_of_the_journal_are_told() -> None:
    response = respond(UPGRADE, says("proving"), Written(NEW, "rolled-back", "no kubelet"), OLD, START)
    assert response.answer == UpgradeAnswer(
        NEW, "h", "rolled-back", "no kubelet", "2026-11-30T12:00:00+00:00"
    )


@pytest.mark.parametrize("version", ["", "latest", "../../etc", "/srv/v1.37.2", "v1.37.2+rke2py1/.."])
def test_nothing_but_a_version_is_taken(version: str) -> None:
    response = respond(UpgradeRequest(version, hash="h"), None, None, OLD, START)
    assert not response.begin
    assert response.answer
    assert response.answer.step == "failed"
