"""Labs for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rke2_lab import roots
from rke2_lab.lab import Lab
from tests.binaries import CONTENT

__all__ = ["CONTENT", "gone_afterwards", "new_lab"]


def new_lab(state_dir: Path, name: str) -> Lab:
    """A lab whose hosts have a root file system of their own, with nothing of this machine in it.

    ``RKE2_LAB_ROOT`` chooses another one.
    """
    return Lab(state_dir, name, roots.chosen("", CONTENT))


@contextmanager
def gone_afterwards(lab: Lab) -> Iterator[Lab]:
    """Remove the lab at the end of the block."""
    try:
        yield lab
    finally:
        lab.down()
