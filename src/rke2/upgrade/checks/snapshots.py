"""The way back: a snapshot of which it is known that it restores."""

from __future__ import annotations

from collections.abc import Iterator

from rke2.upgrade.facts import Facts
from rke2.upgrade.findings import Finding, stop, warning

OLD = 24 * 3600.0
"""Seconds after which a proof says little of today's data."""

_TAKE = "take one and prove it: rke2 etcd-snapshot save, then rke2 etcd-snapshot verify --last"


def check(facts: Facts) -> Iterator[Finding]:
    """Behind the point of no return a snapshot is all there is: without a proven one, no new minor version."""
    if facts.etcd is None:
        return
    missing = stop if facts.minor_rises else warning
    found = facts.snapshot
    if found is None:
        yield missing("there is no snapshot on this server", _TAKE)
    elif not found.proven:
        yield missing(f"no snapshot was proven to restore; the newest is {found.name}", _TAKE)
    elif facts.time - found.proven > OLD:
        days = int((facts.time - found.proven) // 86400)
        yield warning(f"the last proof that a snapshot restores is {days} days old", _TAKE)
    if found:
        yield from (warning(each, _TAKE) for each in found.unproven)
