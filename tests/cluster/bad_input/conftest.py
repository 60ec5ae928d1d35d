from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.cluster.bad_input.refusal import Place
from tests.cluster.nodes import place_server

_CONFIG = Paths().config_dir / "config.yaml"
_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def node(lab: Lab) -> Iterator[LabNode]:
    """A host with the distribution's archives on which no server ever gets ready."""
    yield place_server(lab, "refused")
    lab.remove_host("refused")


@pytest.fixture
def place(node: LabNode) -> Iterator[Place]:
    """An empty data directory on it, and no configuration but the lab's."""
    yield _place(node, Path("/var/lib/rancher"))
    node.host.path(_CONFIG).unlink(missing_ok=True)


@pytest.fixture
def mount_point(node: LabNode) -> Place:
    """A data directory to mount something on, outside of what the host keeps on disk."""
    return _place(node, Path("/srv"))


def _place(node: LabNode, parent: Path) -> Place:
    made = Place(node, parent / f"place-{next(_numbers)}")
    made.outside(made.data_dir).mkdir(parents=True)
    return made


@pytest.fixture
def config(node: LabNode) -> Path:
    """The node's config.yaml, on the machine."""
    return node.host.path(_CONFIG)
