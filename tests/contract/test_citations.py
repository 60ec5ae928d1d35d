"""Every section of the reference that code, tests and the reference itself cite is there (docs/reference)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference"

_NAME = re.compile(r"\b([a-z0-9-]+)\s+reference\b|\b(RFC \d+)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Citation:
    """A section sign: where it stands, the reference named before it in the same paragraph, its number."""

    place: str
    name: str
    section: str


def citations(text: str, place: str, default: str = "") -> Iterator[Citation]:
    """What `text` cites; a section sign belongs to the last reference named before it in its paragraph."""
    line = 1
    for paragraph in re.split(r"(\n\s*\n)", text):
        for found in re.finditer(r"§ ?(\d+[0-9a-z]*(?:\.\d+[a-z]?)*)?", paragraph):
            names = [each.group(1) or each.group(2) for each in _NAME.finditer(paragraph[: found.start()])]
            at = line + paragraph.count("\n", 0, found.start())
            yield Citation(f"{place}:{at}", (names[-1] if names else default).lower(), found.group(1) or "")
        line += paragraph.count("\n")


def sections(name: str) -> set[str]:
    """The numbers of the headings of a reference."""
    text = (REFERENCE / f"{name}.md").read_text()
    return set(re.findall(r"^#+ (\d+[0-9a-z.]*?)\.? ", text, re.MULTILINE))


SECTIONS = {path.stem: sections(path.stem) for path in REFERENCE.glob("*.md") if path.stem != "README"}


def _all() -> Iterator[Citation]:
    for folder in ("src", "distribution", "tests"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path != Path(__file__):
                yield from citations(path.read_text(), str(path.relative_to(ROOT)))
    for path in sorted((ROOT / "docs").rglob("*.md")):
        default = path.stem if path.parent == REFERENCE else ""
        yield from citations(path.read_text(), str(path.relative_to(ROOT)), default)


def _resolves(cited: Citation) -> bool:
    return cited.name.startswith("rfc ") or cited.section in SECTIONS.get(cited.name, set())


def test_every_citation_resolves() -> None:
    cited = list(_all())
    assert len(cited) > 80
    assert [each for each in cited if not _resolves(each)] == []


@pytest.mark.parametrize("name", SECTIONS)
def test_a_reference_numbers_each_section_once(name: str) -> None:
    numbers = re.findall(r"^#+ (\d+[0-9a-z.]*?)\.? ", (REFERENCE / f"{name}.md").read_text(), re.MULTILINE)
    assert len(numbers) > 5
    assert len(numbers) == len(set(numbers))


def test_a_section_sign_belongs_to_the_reference_named_last() -> None:
    text = (
        "Mirrors the supervisor reference §3.2, §4 and the layout\nreference §1.\n\nAnd §2; RFC 9110 §10.2.3"
    )
    assert [(each.name, each.section, each.place) for each in citations(text, "x")] == [
        ("supervisor", "3.2", "x:1"),
        ("supervisor", "4", "x:1"),
        ("layout", "1", "x:2"),
        ("", "2", "x:4"),
        ("rfc 9110", "10.2.3", "x:4"),
    ]
