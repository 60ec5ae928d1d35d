"""Certificates of this node that would end in the middle of it."""

from __future__ import annotations

from collections.abc import Iterator

from rke2.upgrade.facts import Facts
from rke2.upgrade.findings import Finding, warning


def check(facts: Facts) -> Iterator[Finding]:
    """What `rke2 certificate check` warns of."""
    for told in facts.ending:
        message, _, remedy = told.partition(": ")
        yield warning(message, remedy)
