"""What all cluster tests share: one lab, one server booted in it, and what a failed test shows of it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rke2_lab.follow import tail
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.cluster import workload
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.manifest_files import Manifests
from tests.cluster.members import Members
from tests.cluster.namespace import Namespace
from tests.cluster.nodes import boot_server, require_machine

LABS = Path("/var/tmp/rke2-tests")
"""On a disk, as labs need it; `tmp_path` often is none."""

SMALL_JOBS = """
helm-controller-arg: ['job-resources={"requests": {"cpu": "10m", "memory": "10M"}}']
"""
"""Jobs of charts that fail keep what they ask for: two processors have no room for all of them with the default."""

STATUS_SECONDS = 60.0

_NAME = re.compile(r"t(\d+)[a-z]*")
"""Of a lab: the session's process, and what it is for."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.root)
            item.add_marker(pytest.mark.content)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The lab of this test session, gone at its end; also removes those of sessions that were killed."""
    require_machine()
    _sweep()
    with gone_afterwards(new_lab(LABS, f"t{os.getpid()}")) as made:
        yield made


@pytest.fixture(scope="session")
def workload_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tests' own image, see `tests.cluster.workload`."""
    return workload.write_archive(tmp_path_factory.mktemp("workload") / "workload.tar")


@pytest.fixture(scope="session")
def cluster(lab: Lab, workload_archive: Path) -> LabNode:
    """A single server with everything a default one has, booted once, shared by all tests that do not break it.

    ``RKE2_TEST_NODE=<lab's directory>/<host>`` takes one that runs already, for writing tests.
    """
    if running := os.environ.get("RKE2_TEST_NODE"):
        directory, host = Path(running).parent, Path(running).name
        return LabNode(Lab(directory.parent, directory.name).host(host))
    return boot_server(lab, "server-0", workload_archive, SMALL_JOBS, lean=False)


@pytest.fixture(scope="module")
def namespace(cluster: LabNode, request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """A new namespace of the shared cluster, for the tests of one module; going away after them."""
    module = request.path.stem.removeprefix("test_").replace("_", "-")
    made = Namespace.create(cluster, f"{module}-{os.getpid()}")
    yield made
    made.delete()


@pytest.fixture
def manifests(cluster: LabNode) -> Iterator[Manifests]:
    """The manifests directory of the shared server; what the test leaves there is removed."""
    made = Manifests(cluster)
    yield made
    made.remove_all()


def _sweep() -> None:
    """Remove labs whose test session has ended without doing it (SIGKILL)."""
    for file in LABS.glob("*/lab.json"):
        name = _NAME.fullmatch(file.parent.name)
        if name and not Path("/proc", name[1]).exists():
            Lab(LABS, name[0]).down()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the nodes a failed test used: what they say of themselves, and the end of their log."""
    report = yield
    if report.failed:
        for node in _nodes(getattr(item, "funcargs", {}).values()):
            if node.host.running:
                report.sections.append((f"rke2 status on {node.host.name}", _status(node)))
                report.sections.append((f"rke2.log of {node.host.name}", tail(node, 40)))
    return report


def _status(node: LabNode) -> str:
    """What the node says of itself; that it says nothing is no error of the report, which would end the session."""
    try:
        return node.rke2("status", timeout=STATUS_SECONDS).stdout
    except subprocess.TimeoutExpired:
        return f"no answer in {STATUS_SECONDS:.0f} s"


def _nodes(values: Iterable[object]) -> Iterator[LabNode]:
    for value in values:
        if isinstance(value, LabNode):
            yield value
        elif isinstance(value, Members):
            yield from value.nodes
