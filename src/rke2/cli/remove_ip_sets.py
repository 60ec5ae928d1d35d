"""``rke2 remove-ip-sets PREFIX…``: for ``rke2-killall.sh``, on hosts that have neither ipset nor Python."""

from __future__ import annotations

from collections.abc import Sequence

from rke2.errors import UsageError
from rke2.host import ipsets


def run(argv: Sequence[str]) -> int:
    """Remove the sets whose names begin with one of the prefixes; 1 if one is still in use.

    Raises:
        UsageError: no prefix.
    """
    if not all(argv) or not argv:
        raise UsageError("rke2 remove-ip-sets: which sets?", "give the beginning of their names")
    return ipsets.main(["destroy", *argv])
