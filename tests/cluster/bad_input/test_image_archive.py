"""An archive with images of the control plane that cannot be imported."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from rke2.config.paths import Paths
from rke2_lab.lab import Lab
from tests.cluster.bad_input.refusal import Place, assert_explained
from tests.cluster.labs import CONTENT
from tests.cluster.nodes import place_server

CORE_ARCHIVE = next(CONTENT.glob("rke2-images-core.*.tar.zst"), CONTENT)


@pytest.fixture
def place(lab: Lab) -> Iterator[Place]:
    """A host of its own: what was imported before the archive's end is found may run."""
    yield Place(place_server(lab, "truncated"), Paths().data_dir)
    lab.remove_host("truncated")


def test_truncated(place: Place) -> None:
    archive = place.outside(place.paths.images) / CORE_ARCHIVE.name
    archive.unlink()
    archive.write_bytes(CORE_ARCHIVE.read_bytes())
    os.truncate(archive, archive.stat().st_size // 4)  # before the image of the control plane
    done = place.server()
    assert done.returncode == 1
    assert_explained(
        done.stderr, ("is missing", archive.name, "truncated or corrupt", "compare its checksum")
    )
    assert place.node.host.exec(["pgrep", "-x", "containerd|kubelet"]).stdout == ""
    assert "last error: image " in place.node.rke2("status").stdout
