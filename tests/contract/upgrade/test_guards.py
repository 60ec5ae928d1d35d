"""docs/upgrades.md has the guards of the code, with their risks."""

from __future__ import annotations

from pathlib import Path

from rke2.installation.guards import GUARDS

DOCUMENT = Path(__file__).parents[3] / "docs/upgrades.md"


def test_the_document_has_every_guard_with_its_risk() -> None:
    section = DOCUMENT.read_text().partition("rke2.installation.guards.GUARDS")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{guard.name}` | {guard.risk} |" for guard in GUARDS]
