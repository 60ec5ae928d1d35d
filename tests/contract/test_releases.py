"""The product, the Makefile and the builder have the same lines of releases."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from distribution.builder import lines, tables
from distribution.builder.places import DEFAULT_LINE, Places
from rke2 import releases, version
from rke2.config import kubernetes
from rke2.config.model import COMPONENTS

ROOT = Path(__file__).parents[2]
PLACES = Places.default()


def test_the_product_s_table_is_current() -> None:
    assert tables.path(PLACES).read_text() == tables.text(PLACES), "run `make releases`"


def test_the_default_line_is_one() -> None:
    assert DEFAULT_LINE == releases.DEFAULT_LINE == version.LINE
    assert re.findall(r"^DEFAULT_RELEASE := (.*)$", (ROOT / "Makefile").read_text(), re.M) == [DEFAULT_LINE]


@pytest.mark.parametrize("line", lines.names(PLACES))
def test_the_product_knows_what_depends_on_the_minor(line: str) -> None:
    found = lines.load(Places(PLACES.repository, PLACES.cache, line))
    assert int(found.kubernetes.split(".")[1]) in kubernetes.MINORS


def test_the_default_line_has_an_official_image_of_everything() -> None:
    found = releases.OFFICIAL_IMAGES[DEFAULT_LINE]
    assert found.keys() == {*COMPONENTS, "pause", "runtime", "helm-job"}


def test_versions_stand_in_one_place() -> None:
    """A version of a component is in the line's file; recipes, images and the product take it from there."""
    line = lines.load(PLACES)
    files = [
        *(ROOT / "distribution/components").glob("*/recipe.toml"),
        *(ROOT / "distribution/images").rglob("*.toml"),
        *(path for path in (ROOT / "src").rglob("*.py") if path.name != "releases.py"),
    ]
    literal = re.compile(rf'"{re.escape(line.kubernetes)}|^version = "v|Version=v\d|gitMinor=\d', re.M)
    own = {"helm-job", "launcher", "onefile", "pause", "proportional-autoscaler"}
    assert [path for path in files if path.parent.name not in own and literal.search(path.read_text())] == []


def test_the_table_of_the_next_line_has_its_versions() -> None:
    rows = (
        (ROOT / "docs/components.md")
        .read_text()
        .partition("## The line of Kubernetes 1.37")[2]
        .partition("\n## ")[0]
    )
    table = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows.splitlines() if row[:2] == "| "][
        1:
    ]
    lines = [
        tomllib.loads((ROOT / f"distribution/releases/{line}.toml").read_text())["components"]
        for line in ("v1.36", "v1.37")
    ]
    told = {name.lower().replace(" ", "-"): versions for name, *versions in table}
    assert told == {name: [lines[0][name], version] for name, version in lines[1].items()}
