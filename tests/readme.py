"""The table of components, docs/components.md, read back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
COMPONENTS = Path(__file__).parents[1] / "docs/components.md"
_IMAGE = re.compile(r"`([a-z0-9-]+)`(?: (\d+\.\d))?")


@dataclass(frozen=True)
class Row:
    """One component.

    Attributes:
        fips: the words of its cell.
        images: those it is in, with their compressed size in MB where the row tells it.
    """

    name: str
    version: str
    source: str
    fips: str
    images: dict[str, float | None]


def components() -> list[Row]:
    """The rows of the table."""
    lines = COMPONENTS.read_text().partition("\n## ")[0].splitlines()
    heading, _, *rows = [_cells(line) for line in lines if line.startswith("|")]
    return [_row(dict(zip(heading, cells, strict=True))) for cells in rows]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _row(cells: dict[str, str]) -> Row:
    images = {
        name: float(size) if size else None for name, size in _IMAGE.findall(cells["image, MB compressed"])
    }
    return Row(cells["component"], cells["version"], cells["from"], cells["FIPS"], images)
