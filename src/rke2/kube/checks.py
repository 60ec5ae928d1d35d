"""What the health endpoints of Kubernetes' programs answer: a line for each check, ``[+]`` or ``[-]`` first."""

from __future__ import annotations

import re

FAILED = "failed checks "
_LONGEST = 200


def gist(text: str) -> str:
    """One line of what is worth telling of an answer: `FAILED` and the checks' names, or its beginning."""
    failed = re.findall(r"^\[-\](\S+)", text, re.MULTILINE)
    return (f"{FAILED}{', '.join(failed)}" if failed else " ".join(text.split()))[:_LONGEST]
