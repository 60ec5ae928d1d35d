"""docs/testing.md lists what only `make test-all` runs, and tests/results.json how it last ended."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path

from tests import results

ROOT = Path(__file__).parents[2]
TABLE = (
    (ROOT / "docs/testing.md").read_text().partition("## Only in `make test-all`")[2].partition("\n## ")[0]
)
LISTED = {line.split("|")[1].strip().strip("`") for line in TABLE.splitlines() if line[:3] == "| `"}


def test_every_file_with_long_tests_is_listed_and_no_other() -> None:
    command = [sys.executable, "-m", "pytest", "-m", "long", "--collect-only", "--quiet", "tests"]
    collected = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    files = {
        line.partition("::")[0].removeprefix("tests/") for line in collected.splitlines() if "::" in line
    }
    assert files
    assert files == LISTED


def test_every_file_with_long_tests_was_run_as_a_whole() -> None:
    rows = results.read()
    assert set(rows) == LISTED
    for row in rows.values():
        assert datetime.date.fromisoformat(str(row["date"])) <= datetime.datetime.now(datetime.UTC).date()
        assert row["result"] in ("passed", "failed")
