"""The Debian packages a build needs, and which of them are missing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable

from distribution.builder.errors import DistributionError
from distribution.builder.recipes import Recipe
from distribution.builder.toolchain import installed_versions

COMMON = ("ca-certificates", "dpkg", "gcc", "libc6-dev")
"""Needed by every recipe: the C compiler and static libc that cgo links, the certificates of module proxies."""

ONEFILE = ("binutils",)
"""Needed by the one file: what strips libraries and tells what they are linked to."""


def missing(recipes: Iterable[Recipe]) -> list[str]:
    """Packages that `recipes` need and this machine lacks."""
    needed = {*COMMON, *ONEFILE, *(package for recipe in recipes for package in recipe.apt)}
    return sorted(needed - installed_versions(needed).keys())


def install(packages: list[str]) -> None:
    """Install `packages` with apt (needs root).

    Raises:
        DistributionError: apt failed.
    """
    for command in (["update", "-q"], ["install", "-q", "--yes", "--no-install-recommends", *packages]):
        if subprocess.run(["apt-get", *command], check=False).returncode != 0:
            raise DistributionError(f"`apt-get {' '.join(command)}` failed (are you root?)")
