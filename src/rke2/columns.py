"""Tables of text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], *, gap: int) -> list[str]:
    """A line for each row, each column as wide as its longest cell; no blanks at the end.

    Args:
        gap: blanks between two columns.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    between = " " * gap
    return [
        between.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def beside(head: str, message: str, remedy: str = "", *, width: int = 100) -> str:
    """A message wrapped beside `head`, with what to do about it, if anything, behind an arrow below it."""
    indent = " " * len(head)
    texts = [message, f"→ {remedy}"] if remedy else [message]
    lines = [
        line
        for text in texts
        for line in textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
    ]
    return "\n".join([head + lines[0], *(indent + line for line in lines[1:])])
