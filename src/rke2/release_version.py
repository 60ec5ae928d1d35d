"""The version of a release, as Nodes, Plans, directories and tags of images have it."""

from __future__ import annotations

import re
from enum import Enum
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


class Succession(Enum):
    """What it means that one release follows another."""

    SUPPORTED = "the same minor version, or the next one"
    DOWNGRADE = "an older one: Kubernetes and etcd do not promise to read what newer ones wrote"
    SKIPPED_MINOR = "components would be more than one minor version apart, which Kubernetes does not support"

    @classmethod
    def of(cls, now: ReleaseVersion, then: ReleaseVersion) -> Succession:
        """How `then` follows `now`; every guard of upgrades decides by this.

        https://kubernetes.io/releases/version-skew-policy/ has the rule.
        """
        if then.numbers < now.numbers:
            return cls.DOWNGRADE
        if (then.major, then.minor) > (now.major, now.minor + 1):
            return cls.SKIPPED_MINOR
        return cls.SUPPORTED
