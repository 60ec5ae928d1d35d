"""Python packages are pinned by hash, and pip is never asked for others."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BUILD = PROJECT["build-system"]["requires"]
RUNTIME = [*BUILD, *PROJECT["project"]["dependencies"]]
DEVELOPMENT = [*RUNTIME, *PROJECT["project"]["optional-dependencies"]["dev"]]
PIN = re.compile(
    r"^([a-z0-9-]+)==(\S+)(?: ;[^\\\n]*)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)
FILES = ("runtime", "dev")


def text(name: str) -> str:
    return (ROOT / f"packaging/requirements/{name}.txt").read_text()


def pins(name: str) -> dict[str, tuple[str, str]]:
    """Version and hashes of each package."""
    return {package: (version, hashes) for package, version, hashes in PIN.findall(text(name))}


@pytest.mark.parametrize(("name", "wanted"), [("runtime", RUNTIME), ("dev", DEVELOPMENT)])
def test_what_the_project_needs_is_pinned(name: str, wanted: list[str]) -> None:
    names = {re.split(r"[^\w-]", requirement)[0].lower() for requirement in wanted}
    assert names - pins(name).keys() == set(), "run `make requirements`"


@pytest.mark.parametrize("name", FILES)
def test_nothing_stands_there_without_hashes_or_as_source(name: str) -> None:
    rest = [line for line in PIN.sub("", text(name)).splitlines() if not line.lstrip().startswith("#")]
    assert [line for line in rest if line] == ["--only-binary :all:"]
    assert "://" not in text(name), "an index is the choice of who installs"


def test_development_has_the_packages_of_the_product() -> None:
    assert pins("runtime").items() <= pins("dev").items()


def test_pins_are_for_the_oldest_python_too() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert re.findall(r"^OLDEST_PYTHON := (.*)$", makefile, re.MULTILINE) == [
        PROJECT["project"]["requires-python"].removeprefix(">=")
    ]


@pytest.mark.parametrize("script", ["Makefile", "packaging/from-source.sh"])
def test_every_call_of_pip_checks_hashes_or_fetches_nothing(script: str) -> None:
    joined = (ROOT / script).read_text().replace("\\\n", " ")
    calls = [
        line for line in joined.splitlines() if re.search(r"pip install|pip_install |\(PIP_INSTALL\)", line)
    ]
    calls = [line for line in calls if not line.startswith("PIP_INSTALL :=") and '"$@"' not in line]
    assert len(calls) == 2
    for call in calls:
        assert "--require-hashes " in call or "--no-deps --no-build-isolation " in call, call
