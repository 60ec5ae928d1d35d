from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2_lab.lab import Lab
from tests.cluster.nodes import place_server
from tests.cluster.restart.server import Server


@pytest.fixture(scope="package")
def empty(lab: Lab, workload_archive: Path) -> Iterator[Server]:
    """A server that was never started on its host; until the first test starts it."""
    yield Server(place_server(lab, "restarted", workload_archive))
    lab.remove_host("restarted")


@pytest.fixture
def server(empty: Server) -> Server:
    """The server of that host, ready."""
    if not empty.running:
        empty.start()
        empty.until_ready()
    return empty
