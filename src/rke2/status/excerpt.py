"""Long texts, shortened to what fits a table."""

from __future__ import annotations

from collections.abc import Sequence

_HEAD, _END = 120, 160
"""Characters shown of the beginning and of the end of a long text."""


def excerpt(text: str) -> str:
    """The beginning and the end, if it is long: Kubernetes says first of what it speaks, and last what is wrong."""
    return text if len(text) <= _HEAD + _END else f"{text[:_HEAD]} … {text[-_END:]}"


def few(items: Sequence[str], between: str = ", ", most: int = 3) -> str:
    """The first ones, and how many more there are."""
    more = len(items) - most
    return between.join(items[:most]) + (f" and {more} more" if more > 0 else "")
