""" "Did you mean": the remedy for a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
    """The remedy for the unknown `name`: the nearest of `known`, or nothing if none is near.

    Args:
        prefix: put before the suggestion, for example ``--``.
    """
    from difflib import get_close_matches  # only wanted on the way out

    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {prefix}{near[0]}?" if near else ""
