"""A plan as an operator reads it, and as a program does."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

from rke2.columns import aligned, beside
from rke2.upgrade.findings import Finding, PlanSeverity
from rke2.upgrade.plan import UpgradeFindings

_VERDICTS = {
    PlanSeverity.NOTE: "Nothing is in the way.",
    PlanSeverity.WARNING: "It can be done: read the lines marked warning first.",
    PlanSeverity.STOP: "Do not upgrade yet: correct the lines marked stop first.",
}


def as_text(plan: UpgradeFindings) -> str:
    """What changes, then a block for each check, then whether to go on."""
    facts = plan.facts
    place = f" of {facts.then.place}" if facts.then.place else ""
    head = f"{facts.now.version} to {facts.then.version}{place}; nothing was touched"
    return "\n".join([head, "", *_changes(plan), *_checks(plan), "", _VERDICTS[plan.severity]])


def _changes(plan: UpgradeFindings) -> list[str]:
    rows = [(change.name, change.now or "-", change.then or "-") for change in plan.changes]
    return [*aligned([("CHANGES", "NOW", "THEN"), *rows], gap=3), ""] if rows else []


def _checks(plan: UpgradeFindings) -> Iterator[str]:
    for name, findings in plan.findings.items():
        if not findings:
            yield f"{'ok':<9}{name}"
        for finding in sorted(findings, key=lambda finding: -finding.severity):
            yield _lines(name, finding)


def _lines(name: str, finding: Finding) -> str:
    return beside(f"{finding.severity.word:<9}{name:<14}", finding.message, finding.remedy)


def as_json(plan: UpgradeFindings) -> str:
    """The same, for scripts; keys and names of checks stay."""
    facts = plan.facts
    report = {
        "from": str(facts.now.version),
        "to": str(facts.then.version),
        "directory": facts.then.place or None,
        "severity": plan.severity.word,
        "exitCode": int(plan.severity),
        "changes": [dataclasses.asdict(change) for change in plan.changes],
        "checks": {
            name: [
                {"severity": each.severity.word, "message": each.message, "remedy": each.remedy}
                for each in findings
            ]
            for name, findings in plan.findings.items()
        },
    }
    return json.dumps(report, indent=2)
