"""The description of the one file (``distribution/onefile/onefile.toml``)."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import msgspec

from distribution.builder.places import Places
from distribution.builder.recipes import read_toml
from distribution.builder.rootfs import Rootfs


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is in the one file besides rke2.

    Attributes:
        python: the Debian packages of Python and what it links.
        without_wheels: Python packages that rke2 is built with, but does not run with.
        drop: patterns of paths below ``lib/python3.x`` that are left out (`fnmatch`; ``*`` crosses slashes).
    """

    python: Rootfs
    without_wheels: Sequence[str]
    drop: Sequence[str]

    def drops(self, path: str) -> bool:
        """Whether `path`, relative to ``lib/python3.x``, is left out."""
        return any(fnmatchcase(path, pattern) for pattern in self.drop)


def load(places: Places) -> Description:
    """Read it.

    Raises:
        RecipeError: naming the file and the key.
    """
    return read_toml(places.onefile / "onefile.toml", Description)
