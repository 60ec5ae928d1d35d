"""The directories the builder reads and writes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


def _cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@dataclass(frozen=True)
class Places:
    """Sources in the repository, results in its ``build/dist``, everything reusable in the user's cache.

    Nothing outside these two roots is written.
    """

    repository: Path
    cache: Path

    @classmethod
    def default(cls) -> Places:
        """The repository this module is part of and ``$XDG_CACHE_HOME/rke2-distribution``."""
        return cls(Path(__file__).resolve().parents[2], _cache_home() / "rke2-distribution")

    @property
    def components(self) -> Path:
        return self.repository / "distribution/components"

    @property
    def charts(self) -> Path:
        return self.repository / "distribution/charts"

    @property
    def images(self) -> Path:
        return self.repository / "distribution/images"

    @property
    def hosts(self) -> Path:
        return self.repository / "distribution/hosts"

    @property
    def onefile(self) -> Path:
        return self.repository / "distribution/onefile"

    @property
    def product(self) -> Path:
        """The package of rke2: the builder never imports it, but packs it."""
        return self.repository / "src/rke2"

    @property
    def plan(self) -> Path:
        return self.repository / "distribution/release.toml"

    @property
    def dist(self) -> Path:
        return self.repository / "build/dist"

    @property
    def release(self) -> Path:
        return self.repository / "build/release"

    @property
    def artifacts(self) -> Path:
        return self.cache / "artifacts"

    @property
    def debs(self) -> Path:
        return self.cache / "debs"

    @property
    def scratch(self) -> Path:
        return self.cache / "scratch"

    @property
    def go_mod(self) -> Path:
        return self.cache / "go-mod"

    @property
    def go_build(self) -> Path:
        return self.cache / "go-build"
