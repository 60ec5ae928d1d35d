"""Findings as an operator reads them, and as a program does."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rke2.columns import beside
from rke2.migration.findings import MigrationFinding, Severity, worst
from rke2.migration.node import ExistingNode
from rke2.version import VERSION

_VERDICTS = {
    Severity.NOTE: "Nothing is in the way.",
    Severity.CHANGE: "It works, and something of the cluster changes: read the lines marked change.",
    Severity.STOP: "Do not change this node yet: correct the lines marked stop first.",
}


def as_text(node: ExistingNode, findings: Sequence[MigrationFinding]) -> str:
    """A line for each finding, the worst first; what to do is below it."""
    head = f"{node.role} of RKE2 {node.version or '(unknown release)'} in {node.paths.data_dir}, to rke2 {VERSION}"
    ordered = sorted(findings, key=lambda finding: -finding.severity)
    return "\n".join([head, "", *(_lines(finding) for finding in ordered), "", _VERDICTS[worst(findings)]])


def _lines(finding: MigrationFinding) -> str:
    return beside(f"{finding.severity.word:<8}{finding.kind:<18}", finding.message, finding.remedy)


def as_json(node: ExistingNode, findings: Sequence[MigrationFinding]) -> str:
    """The same, for scripts; keys and kinds stay."""
    severity = worst(findings)
    report = {
        "role": node.role,
        "dataDir": str(node.paths.data_dir),
        "from": str(node.version) if node.version else None,
        "to": VERSION,
        "severity": severity.word,
        "exitCode": int(severity),
        "findings": [
            {
                "kind": finding.kind,
                "severity": finding.severity.word,
                "message": finding.message,
                "remedy": finding.remedy,
            }
            for finding in findings
        ],
    }
    return json.dumps(report, indent=2)
