"""Documents say what the code says: what drifts apart fails here."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from distribution.builder import archives, images, lines, recipes
from distribution.builder.recipes import OWN_MODULES, Recipe, read_toml
from distribution.builder.rootfs import Rootfs
from rke2.content.images.verification import EXEMPT_FROM_FIPS
from rke2.host.programs import BACKENDS, GROUPS, IPTABLES, front_end
from tests import readme

PLACES = lines.sources()
COMPONENTS = recipes.load_all(PLACES.components)
IMAGES = images.load_all(PLACES.images)
ROOT = Path(__file__).parents[2]
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
README = readme.README.read_text()
DEPENDENCIES = (ROOT / "docs/adr/dependencies.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
RECIPES = sorted((ROOT / "distribution/components").glob("*/recipe.toml"))
DOCUMENTS = sorted(
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("distribution/**/*.md"),
    ]
)


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", document.read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not _leads_somewhere(document, link)] == []


def _leads_somewhere(document: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = document if not path else document.parent / path
    return target.exists() and (not anchor or anchor in _anchors(target.read_text()))


def _anchors(text: str) -> set[str]:
    """GitHub's names of the headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_make_targets_exist(document: Path) -> None:
    named = set(re.findall(r"`(?:sudo )?make ([a-z-]+)", document.read_text()))
    assert named <= set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


def test_every_package_stands_in_the_architecture() -> None:
    packages = {path.parent.name for path in ROOT.glob("src/rke2/*/__init__.py")}
    drawn = set(re.findall(r"^([a-z0-9]+) {3,}\S|│ ([a-z]+) ", ARCHITECTURE, re.MULTILINE))
    assert packages <= {name for pair in drawn for name in pair}


def test_the_architecture_lists_the_boot() -> None:
    assert (ROOT / "tests/contract/boot/server.txt").read_text() in ARCHITECTURE


def test_the_installation_lists_what_is_called_on_a_host() -> None:
    section = (
        (ROOT / "docs/install.md").read_text().partition("## What the host needs")[2].partition("\n## ")[0]
    )
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| {', '.join(f'`{program}`' for program in group.programs)} | {group.used_by} |" for group in GROUPS
    ]


def test_the_runtime_image_brings_what_is_called_on_a_host() -> None:
    base = read_toml(PLACES.images / "bases/host-programs.toml", Rootfs)
    brought = {path.rpartition("/")[2] for path, target in base.symlinks.items() if target == "launcher"}
    called = {name for group in GROUPS for name in group.programs} - set(IPTABLES.programs)
    front_ends = {front_end(name, backend) for name in IPTABLES.programs for backend in BACKENDS}
    assert brought == called | front_ends


def test_files_named_in_the_architecture_exist() -> None:
    named = set(re.findall(r"`((?:\w+/)+\w+\.(?:py|txt|toml))`", ARCHITECTURE))
    assert named
    assert [
        path for path in named if not any((root / path).exists() for root in (ROOT, ROOT / "src/rke2"))
    ] == []


@pytest.mark.parametrize("component", COMPONENTS.values(), ids=lambda component: component.name)
def test_every_component_stands_in_the_readme(component: Recipe) -> None:
    row = _row_of(component)
    inside = {
        image.name
        for image in IMAGES.values()
        if component.name in (name for name, *_ in (*image.binaries, *image.trees))
    }
    assert row.images.keys() == inside
    assert row.fips.startswith("yes" if component.is_go else "no cryptography")
    assert ("**not**" in row.fips) == bool(EXEMPT_FROM_FIPS.keys() & inside)


def test_the_readme_has_no_other_components() -> None:
    assert len(readme.components()) == len(COMPONENTS)


def test_the_readme_tells_the_size_of_each_image_once() -> None:
    told = [name for row in readme.components() for name, size in row.images.items() if size is not None]
    plan = archives.load(PLACES.plan).archives
    assert sorted(told) == sorted({name for archive in plan for name in archive.images})


def _row_of(component: Recipe) -> readme.Row:
    own = not component.module or component.module.startswith(OWN_MODULES)
    stated = (component.version, "this repository" if own else component.module)
    rows = [row for row in readme.components() if (row.version, row.source) == stated]
    (row,) = [row for row in rows if row.name == component.name] if own else rows
    return row


def test_promises_named_in_the_readme_have_tests() -> None:
    named = set(
        re.findall(r"\b((?:cluster|integration|contract)(?:/(?!test_)\w+)+)", readme.COMPONENTS.read_text())
    )
    assert named
    assert [folder for folder in named if not list((ROOT / "tests" / folder).glob("test_*.py"))] == []


def test_what_is_known_against_ingress_nginx_has_a_test_or_is_said_not_to_be_repaired() -> None:
    chapter = (
        (ROOT / "docs/ingress.md").read_text().partition("## Known vulnerabilities")[2].partition("\n## ")[0]
    )
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in chapter.splitlines()
        if line[:1] == "|"
    ]
    functions = "".join(path.read_text() for path in (ROOT / "tests").glob("*/**/test_*.py"))
    missing = []
    for what, _, here, test in rows[2:]:
        named = re.findall(r"`([\w/.]+)`", test)
        missing += [each for each in named if "/" in each and not (ROOT / "tests" / each).exists()]
        missing += [each for each in named if "/" not in each and f"def {each}(" not in functions]
        assert named or test == "the same" or "**not repaired**" in here, what
    assert missing == []


def test_every_decision_stands_in_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text()
    assert [path.name for path in ROOT.glob("docs/adr/*.md") if f"adr/{path.name}" not in index] == []


def test_every_dependency_is_justified() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    python = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    needed = {
        *(re.match(r"[\w-]+", requirement)[0] for requirement in python),  # type: ignore[index]
        *_make_packages(),
        *(package for recipe in RECIPES for package in tomllib.loads(recipe.read_text()).get("apt", [])),
    }
    assert needed - set(re.findall(r"[\w.+-]+", _first_cells(DEPENDENCIES.splitlines()))) == set()


def _make_packages() -> Iterable[str]:
    return " ".join(re.findall(r"^\w+_PACKAGES := (.*)$", MAKEFILE, re.MULTILINE)).split()


def _first_cells(lines: Iterable[str]) -> str:
    return " ".join(line.split("|")[1] for line in lines if line.startswith("|"))
