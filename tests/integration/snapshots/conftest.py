from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.binaries import binary
from tests.integration.etcd.cluster import Network


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    binary("etcd")
    network = Network(tmp_path)
    try:
        yield network
    finally:
        network.close()
