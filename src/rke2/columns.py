"""Tables of text."""

from __future__ import annotations

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
