"""Minor versions of etcd: what decides which program may run which data."""

from __future__ import annotations

import re
from typing import NamedTuple

_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.\d|$)")


class EtcdMinor(NamedTuple):
    """A minor version, written ``3.6``."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> EtcdMinor | None:
        """The minor of a version such as ``3.6.14``, ``v3.6.14-k3s1`` or ``3.6``; None if `text` is no version."""
        found = _VERSION.match(text)
        return cls(int(found[1]), int(found[2])) if found else None

    @classmethod
    def of_image(cls, reference: str) -> EtcdMinor | None:
        """The minor that the tag of an image names; None if its tag is no version."""
        return cls.parse(version_of_image(reference))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


def version_of_image(reference: str) -> str:
    """The tag of an image without its ``v``, which for etcd is its version; empty without a tag."""
    return reference.partition("@")[0].rpartition("/")[2].partition(":")[2].removeprefix("v")
