"""What every part of the bench is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rke2.config.cni import DEFAULT as DEFAULT_CNI
from rke2.config.cni import foreign_archive
from rke2_lab.node import archives


@dataclass(frozen=True)
class Options:
    """The command line.

    Attributes:
        content: the built distribution.
        runs: of everything that is timed; medians are printed.
        every_way: also the ways to import that were tried and lost.
    """

    content: Path
    runs: int
    every_way: bool

    @property
    def archives(self) -> list[Path]:
        """All archives of the content."""
        return archives(self.content)

    def archives_with(self, cni: str = DEFAULT_CNI.name) -> list[Path]:
        """Those that a node with this CNI plugin imports."""
        return [archive for archive in self.archives if not foreign_archive(archive.name, cni)]
