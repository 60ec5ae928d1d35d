"""Every point that concerns this node, judged, and as text and JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from rke2.columns import aligned
from rke2.config.paths import Paths
from rke2.status.cis.checks import Result
from rke2.status.cis.controls import CONTROLS
from rke2.status.cis.evidence import Evidence

BENCHMARK = "CIS Kubernetes Benchmark 1.9"


@dataclass(frozen=True)
class CisFinding:
    id: str
    title: str
    result: Result
    evidence: str


def judge(paths: Paths) -> list[CisFinding]:
    """The points about what this node has, in the order of the benchmark."""
    evidence = Evidence(paths)
    verdicts = ((control, control.check(evidence)) for control in CONTROLS)
    return [
        CisFinding(control.id, control.title, verdict.result, verdict.evidence)
        for control, verdict in verdicts
        if verdict
    ]


def as_text(findings: Iterable[CisFinding]) -> str:
    """A line for each, and how many of each kind."""
    listed = list(findings)
    rows = [("POINT", "RESULT", "TITLE", "EVIDENCE")]
    rows += [(each.id, each.result.value, each.title, each.evidence) for each in listed]
    counts = Counter(each.result for each in listed)
    summary = ", ".join(f"{counts[result]} {result.value}" for result in Result)
    return "\n".join([*aligned(rows, gap=2), "", f"{BENCHMARK}: {summary}"])


def as_json(findings: Iterable[CisFinding]) -> str:
    points = [
        {"id": each.id, "title": each.title, "result": each.result.value, "evidence": each.evidence}
        for each in findings
    ]
    return json.dumps({"benchmark": BENCHMARK, "points": points}, indent=2)
