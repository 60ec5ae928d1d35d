"""File names of snapshots: ``<base name>-<node>-<Unix time>``, ``.zip`` at the end if compressed."""

from __future__ import annotations

import re
from dataclasses import dataclass

ZIP = ".zip"
PART = ".part"
"""At the end of a file that is being written; whoever is killed leaves one."""

_NUMBER = re.compile(r"-(\d{1,12})$", re.ASCII)


@dataclass(frozen=True)
class Name:
    """What the name of a file says."""

    base: str
    node: str
    taken: int
    compressed: bool = False

    def __str__(self) -> str:
        return f"{self.base}-{self.node}-{self.taken}{ZIP if self.compressed else ''}"


def parse(file: str, base: str, node: str) -> Name | None:
    """`file` as a snapshot of this base name and node; None if it is another's.

    Exact, where RKE2 compares the beginning only: ``etcd-snapshot`` is not ``etcd-snapshot-weekly``.
    """
    stem = file.removesuffix(ZIP)
    taken = stem.removeprefix(f"{base}-{node}-")
    if taken == stem or not re.fullmatch(r"\d{1,12}", taken, re.ASCII):
        return None
    return Name(base, node, int(taken), compressed=file != stem)


def time_in(file: str) -> int | None:
    """The Unix time at the end of the name of any snapshot; None if there is none."""
    found = _NUMBER.search(file.removesuffix(ZIP))
    return int(found[1]) if found else None
