"""Messages, docstrings and documents keep to plain English and to the terms of the glossary (docs/glossary.md)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

INSTEAD = {
    r"(?<!there )\b(is|are) none\b": "is not a valid …, is not one of …",
    r"\banew\b": "again, reinstalled",
    r"\bin vain\b": "without success",
    r"\blest\b": "so that … not",
    r"\bfor ever\b": "forever",
    r"\bbegun with\b": "created with",
    r"\bjoin server\b|\bJoinServer\b": "supervisor",
    r"\b(he|his|him)\b": "they, the operator",
}
"""A pattern, and what to write in its place."""

FILES = sorted(
    path
    for pattern in ("src/**/*.py", "docs/*.md", "docs/adr/*.md", "packaging/*.sh", "*.md")
    for path in ROOT.glob(pattern)
)


@pytest.mark.parametrize("words", INSTEAD)
def test_plain_words(words: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()} (write: {INSTEAD[words]})"
        for path in FILES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(words, line)
    ]
    assert found == []


def test_the_patterns_find_what_they_are_for() -> None:
    text = "the token is none, made anew in vain, lest it stays for ever; begun with his join server"
    assert [words for words in INSTEAD if not re.search(words, text)] == []
    assert not any(re.search(words, "if there is none, everyone forever") for words in INSTEAD)
