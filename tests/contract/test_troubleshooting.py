"""Messages that the documentation explains are messages of the code."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/troubleshooting.md").read_text()
SHORTEST = 5
NOT_OURS = {
    "Connection refused",
    "Server disconnected",
    "NotReady: Kubelet stopped posting node status.",
    "Readiness probe failed: …",
    "NOSPACE",
    "CORRUPT",
}
"""Words of the operating system, of libraries, of Kubernetes and of etcd."""
# What stands for a value of the message.
GAP = "…"


def explained() -> list[str]:
    """The messages in the first column of the tables."""
    rows = [line.split("|")[1] for line in DOCUMENT.splitlines() if line.startswith("| ")]
    return sorted({message for row in rows for message in re.findall(r"`([^`]+)`", row)} - NOT_OURS)


@cache
def messages() -> str:
    """Every string of the product, values left out, one a line."""
    found = []
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(_literal(part) for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(text.replace("\n", " ") for text in found)


def _literal(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else GAP


def test_there_are_messages() -> None:
    assert len(explained()) > 40


@pytest.mark.parametrize("message", explained())
def test_the_code_has_it(message: str) -> None:
    for word in NOT_OURS:
        message = message.replace(word, GAP)
    pieces = [piece.strip(" .:,;") for piece in message.split(GAP)]
    missing = [piece for piece in pieces if len(piece) >= SHORTEST and piece not in messages()]
    assert missing == []
