""" "Did you mean": the remedy for a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
    """The remedy for the unknown `name`: the nearest of `known`, or nothing if none is near.

    One that `name` begins with, up to a dash, is near: releases before had ``cis-1.23`` for what is ``cis`` now.

    Args:
        prefix: put before the suggestion, for example ``--``.
    """
    from difflib import get_close_matches  # only wanted on the way out

    names = list(known)
    near = get_close_matches(name, names, n=1, cutoff=0.6) or [
        each for each in names if name.startswith(f"{each}-")
    ]
    return f"did you mean {prefix}{near[0]}?" if near else ""
