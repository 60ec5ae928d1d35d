"""File names of snapshots: ``<base name>-<node>-<Unix time>``, ``.zip`` or ``.zst`` at the end if compressed."""

from __future__ import annotations

import re
from dataclasses import dataclass

ZIP, ZST = ".zip", ".zst"
COMPRESSED = (ZIP, ZST)
PART = ".part"
"""At the end of a file that is being written; whoever is killed leaves one."""

_NUMBER = re.compile(r"-(\d{1,12})$", re.ASCII)


@dataclass(frozen=True)
class Name:
    """What the name of a file says."""

    base: str
    node: str
    taken: int
    suffix: str = ""

    def __str__(self) -> str:
        return f"{self.base}-{self.node}-{self.taken}{self.suffix}"


def suffix_of(file: str) -> str:
    """How the name of a compressed snapshot ends; empty of one that is not."""
    return next((suffix for suffix in COMPRESSED if file.endswith(suffix)), "")


def stem_of(file: str) -> str:
    """The name of the snapshot that is in the file."""
    return file.removesuffix(suffix_of(file))


def parse(file: str, base: str, node: str) -> Name | None:
    """`file` as a snapshot of this base name and node; None if it is another's.

    Exact, where RKE2 compares the beginning only: ``etcd-snapshot`` is not ``etcd-snapshot-weekly``.
    """
    stem = stem_of(file)
    taken = stem.removeprefix(f"{base}-{node}-")
    if taken == stem or not re.fullmatch(r"\d{1,12}", taken, re.ASCII):
        return None
    return Name(base, node, int(taken), suffix_of(file))


def time_in(file: str) -> int | None:
    """The Unix time at the end of the name of any snapshot; None if there is none."""
    found = _NUMBER.search(stem_of(file))
    return int(found[1]) if found else None
