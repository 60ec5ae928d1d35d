from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2_lab.host import LabHost
from rke2_lab.lab import Lab

_numbers = itertools.count()


@pytest.fixture(autouse=True, scope="package")
def _needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("test hosts need root")


def _name() -> str:
    return f"t{os.getpid()}x{next(_numbers)}"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """An empty lab of its own."""
    made = Lab(tmp_path / "labs", _name())
    yield made
    made.down()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LabHost, LabHost]]:
    """Two hosts of one lab, shared by the tests of a module that only look."""
    made = Lab(tmp_path_factory.mktemp("pair") / "labs", _name())
    try:
        yield made.add_host("a"), made.add_host("b")
    finally:
        made.down()
