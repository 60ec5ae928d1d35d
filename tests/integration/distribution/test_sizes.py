"""The sizes of images that the README tells are those of the built distribution."""

from __future__ import annotations

from pathlib import Path

import pytest

from distribution.builder.places import Places
from rke2_lab.node import archives
from tests import readme
from tests.bench.content import sizes

pytestmark = pytest.mark.content

TOLD = {name: size for row in readme.components() for name, size in row.images.items() if size is not None}
SHARE, LEAST = 0.1, 0.1
"""A figure may be wrong by a tenth, or by as many MB."""


@pytest.mark.parametrize("archive", archives(Places.default().dist), ids=lambda path: path.name.split(".")[0])
def test_the_readme_tells_how_large_its_images_are(archive: Path) -> None:
    for reference, size in sizes.of_images(archive).items():
        name = reference.rpartition("/")[2].partition(":")[0]
        if name in TOLD:
            assert TOLD[name] == pytest.approx(size.compressed / 1e6, rel=SHARE, abs=LEAST), name
