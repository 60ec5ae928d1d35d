"""The directories the builder reads and writes."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

DEFAULT_LINE = "v1.36"
"""The release line that is built where none is named."""


def _cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@dataclass(frozen=True)
class Places:
    """Sources in the repository, results in its ``build/dist``, everything reusable in the user's cache.

    Nothing outside these two roots is written.

    Attributes:
        line: the release line that is built.
        sources: where `lines.lay_out` put its sources; before that, they are as they stand in the repository.
    """

    repository: Path
    cache: Path
    line: str = DEFAULT_LINE
    sources: Path | None = None

    @classmethod
    def default(cls, line: str = DEFAULT_LINE) -> Places:
        """The repository this module is part of and ``$XDG_CACHE_HOME/rke2-distribution``."""
        return cls(Path(__file__).resolve().parents[2], _cache_home() / "rke2-distribution", line)

    @property
    def for_all_lines(self) -> Places:
        """Where artifacts are kept that all lines have in common."""
        return replace(self, line=DEFAULT_LINE)

    @property
    def lines(self) -> Path:
        return self.repository / "distribution/releases"

    @property
    def distribution(self) -> Path:
        return self.sources or self.repository / "distribution"

    @property
    def components(self) -> Path:
        return self.distribution / "components"

    @property
    def charts(self) -> Path:
        return self.distribution / "charts"

    @property
    def images(self) -> Path:
        return self.distribution / "images"

    @property
    def hosts(self) -> Path:
        return self.distribution / "hosts"

    @property
    def onefile(self) -> Path:
        return self.distribution / "onefile"

    @property
    def product(self) -> Path:
        """The package of rke2: the builder never imports it, but packs it."""
        return self.repository / "src/rke2"

    @property
    def packed(self) -> tuple[Path, ...]:
        """The packages in the one file."""
        return self.product, self.repository / "src/rke2_lab"

    @property
    def plan(self) -> Path:
        return self.distribution / "release.toml"

    @property
    def build_root(self) -> Path:
        return self.repository / "build"

    @property
    def build(self) -> Path:
        """What is built of this line; the default one's is where it always was."""
        return self.build_root if self.line == DEFAULT_LINE else self.build_root / self.line

    @property
    def dist(self) -> Path:
        return self.build / "dist"

    @property
    def release(self) -> Path:
        return self.build / "release"

    @property
    def artifacts(self) -> Path:
        """The store, which keeps one artifact of each name: each line but the default one has its own within."""
        return self.cache / "artifacts" / ("" if self.line == DEFAULT_LINE else self.line)

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
