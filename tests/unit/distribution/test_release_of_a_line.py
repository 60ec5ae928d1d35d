"""`make release` makes the release of the line that it is told, from that line's content."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from distribution.packages.__main__ import _parser, planned
from rke2.releases import DEFAULT_LINE, VERSIONS

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("line", "build"), [("v1.36", "build"), ("v1.37", "build/v1.37")])
def test_a_line_has_a_release_of_its_own(line: str, build: str) -> None:
    sources, dist, target = planned(_parser().parse_args(["--line", line]))
    assert (dist, target) == (ROOT / build / "dist", ROOT / build / "release")
    assert sources.version == VERSIONS[line]
    assert sources.drop_in == dist / "10-images.yaml" and sources.program == target / "rke2.linux-amd64"


@pytest.mark.parametrize(("words", "line"), [([], DEFAULT_LINE), (["RELEASE=v1.37"], "v1.37")])
def test_make_hands_the_line_on(words: list[str], line: str) -> None:
    shown = subprocess.run(
        ["make", "--dry-run", "release", *words], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert f"-m distribution.packages --line {line}\n" in shown
