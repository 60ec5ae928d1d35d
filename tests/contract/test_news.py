"""News fragments are of a kind that a release knows, and make its notes (changes/README.md)."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
FRAGMENTS = sorted(path for path in (ROOT / "changes").iterdir() if path.name != "README.md")
KINDS = {
    each["directory"]
    for each in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]["type"]
}


def test_every_fragment_has_a_kind_and_says_something() -> None:
    assert [
        path.name for path in FRAGMENTS if path.suffixes[-2:] not in [[f".{kind}", ".md"] for kind in KINDS]
    ] == []
    assert [path.name for path in FRAGMENTS if len(path.read_text().split()) < 5] == []


def test_the_fragments_make_the_notes_of_a_release() -> None:
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "next"]
    notes = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [path.name for path in FRAGMENTS if path.read_text().split("\n")[0] not in notes] == []


def test_the_explanation_lists_the_kinds() -> None:
    text = (ROOT / "changes/README.md").read_text()
    assert {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")} == KINDS
