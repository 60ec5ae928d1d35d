"""The version of a release, as Nodes, Plans, directories and tags of images have it."""

from __future__ import annotations

import re
from typing import NamedTuple

_FORM = re.compile(r"v(\d+)\.(\d+)\.(\d+)(?:[-+]([A-Za-z0-9.+-]+))?")


class ReleaseVersion(NamedTuple):
    """A release, as in ``v1.37.2+rke2py1``, or a version of Kubernetes or etcd, as in ``v1.37.2``."""

    major: int
    minor: int
    patch: int
    build: str = ""

    @classmethod
    def parse(cls, text: str) -> ReleaseVersion | None:
        """Read a version; ``-`` may stand for ``+``, as in the tag of an image. None if it is something else."""
        found = _FORM.fullmatch(text)
        return cls(int(found[1]), int(found[2]), int(found[3]), found[4] or "") if found else None

    @property
    def numbers(self) -> tuple[int, int, int]:
        """What is compared: two builds of one version are equal."""
        return self.major, self.minor, self.patch

    def __str__(self) -> str:
        number = f"v{self.major}.{self.minor}.{self.patch}"
        if not self.build:
            return number
        # Of a candidate, such as v1.37.2-rc1+rke2r1, the build has the second separator.
        return f"{number}-{self.build}" if "+" in self.build else f"{number}+{self.build}"
