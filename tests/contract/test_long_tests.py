"""docs/testing.md lists what only `make test-all` runs: nothing is left out of `make test` silently."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = (
    (ROOT / "docs/testing.md").read_text().partition("## Only in `make test-all`")[2].partition("\n## ")[0]
)
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.splitlines() if line[:3] == "| `"
]
RESULT = re.compile(r"\d{4}-\d{2}-\d{2} (passed|failed)|not run .*since .*\d{4}-\d{2}-\d{2}")


def test_every_file_with_long_tests_is_listed_and_no_other() -> None:
    command = [sys.executable, "-m", "pytest", "-m", "long", "--collect-only", "--quiet", "tests"]
    collected = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    files = {line.partition("::")[0] for line in collected.splitlines() if "::" in line}
    assert files
    assert {f"tests/{cells[0].strip('`')}" for cells in ROWS} == files


def test_every_row_tells_its_last_result() -> None:
    assert [cells[0] for cells in ROWS if not RESULT.match(cells[-1])] == []
