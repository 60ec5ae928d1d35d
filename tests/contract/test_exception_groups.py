"""What leaves an ``except*`` clause is a group in Python 3.11.2, which Debian 12 and the one file have.

Later versions let a single error out as it is, so tests with these see nothing of it. A group that somebody raises from
is caught by ``except``.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def raised_in_groups(source: str) -> list[int]:
    """The lines in clauses of ``except*`` that raise."""
    return [
        inner.lineno
        for clause in ast.walk(ast.parse(source))
        if isinstance(clause, ast.TryStar)
        for handler in clause.handlers
        for inner in ast.walk(handler)
        if isinstance(inner, ast.Raise) and inner.exc is not None
    ]


def test_a_clause_that_raises_is_found() -> None:
    assert raised_in_groups("try: pass\nexcept* OSError as e:\n    raise e.exceptions[0] from None") == [3]
    assert raised_in_groups("try: pass\nexcept* OSError:\n    pass") == []


@pytest.mark.parametrize("folder", ["src", "distribution"])
def test_no_clause_raises(folder: str) -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / folder).rglob("*.py")
        if (lines := raised_in_groups(path.read_text()))
    }
    assert found == {}
