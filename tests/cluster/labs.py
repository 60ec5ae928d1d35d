"""Labs for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rke2.lab.lab import Lab


@contextmanager
def gone_afterwards(lab: Lab) -> Iterator[Lab]:
    """Remove the lab at the end of the block."""
    try:
        yield lab
    finally:
        lab.down()
