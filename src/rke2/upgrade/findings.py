"""What a plan can find, how bad it is, and what that makes of the exit code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class PlanSeverity(IntEnum):
    """How bad a finding is; the value is the exit code that the worst one causes.

    1 is left out: with it every verb says that it failed itself.
    """

    NOTE = 0
    WARNING = 2
    STOP = 3

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Finding:
    """One thing the operator has to know before the upgrade.

    Args:
        message: what is so, in one sentence.
        remedy: what to do about it; empty if there is nothing to do.
    """

    severity: PlanSeverity
    message: str
    remedy: str = ""


def note(message: str, remedy: str = "") -> Finding:
    return Finding(PlanSeverity.NOTE, message, remedy)


def warning(message: str, remedy: str = "") -> Finding:
    return Finding(PlanSeverity.WARNING, message, remedy)


def stop(message: str, remedy: str = "") -> Finding:
    return Finding(PlanSeverity.STOP, message, remedy)


def worst(findings: Iterable[Finding]) -> PlanSeverity:
    """The severity of all of them together."""
    return max((finding.severity for finding in findings), default=PlanSeverity.NOTE)
