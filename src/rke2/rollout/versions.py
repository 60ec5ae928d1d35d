"""Versions of releases as Plans, Nodes and directories name them."""

from __future__ import annotations

import re
from typing import NamedTuple

_FORM = re.compile(r"v(\d+)\.(\d+)\.(\d+)(?:[-+]([A-Za-z0-9.-]+))?")


class ReleaseVersion(NamedTuple):
    """A release, as in ``v1.37.2+rke2py1``, or a Kubernetes version, as in ``v1.37.2``."""

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
    def kubernetes(self) -> tuple[int, int, int]:
        return self.major, self.minor, self.patch

    def __str__(self) -> str:
        number = f"v{self.major}.{self.minor}.{self.patch}"
        return f"{number}+{self.build}" if self.build else number


def munged(version: str) -> str:
    """`version` as ``status.latestVersion`` has it: a tag may not contain ``+``."""
    return version.replace("+", "-")


def hindrance(node: ReleaseVersion, target: ReleaseVersion) -> str:
    """Why a node that runs `node` must not go to `target`; empty if it may.

    Stricter than upstream, which runs whatever a Plan names.
    """
    if target.kubernetes < node.kubernetes:
        return f"{target} is older than {node}: a downgrade, which Kubernetes and etcd do not support"
    if (target.major, target.minor) > (node.major, node.minor + 1):
        return f"from {node} to {target} a minor version is skipped: upgrade to v{node.major}.{node.minor + 1} first"
    return ""
