"""docs/to-add.md sends nobody to a file that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/to-add.md").read_text()
PLACES = sorted({each for each in re.findall(r"`([\w./-]+/[\w./-]*)`", PAGE) if not each.startswith("/")})


def test_the_page_names_places() -> None:
    assert len(PLACES) > 20


@pytest.mark.parametrize("place", PLACES)
def test_the_place_is_there(place: str) -> None:
    assert any((base / place).exists() for base in (ROOT, ROOT / "src/rke2"))
