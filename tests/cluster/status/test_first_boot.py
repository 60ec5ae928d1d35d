"""A first boot that cannot go on says why, although there is no API server to ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2.errors import LabError
from rke2_lab.follow import until_ready
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.cluster.eventually import eventually
from tests.cluster.nodes import place_server

PAUSE = "registry.invalid/nobody/pause:v1"
DROP_IN = Paths().containerd_config.parent / "config-v3.toml.d/sandbox.toml"
CAUSE = f"etcd does not listen yet: no sandbox: image {PAUSE}: "


@pytest.fixture(scope="module")
def stuck(lab: Lab) -> Iterator[LabNode]:
    """A server whose operator has given containerd a sandbox image that cannot be had."""
    node = place_server(lab, "stuck")
    node.host.write_file(
        DROP_IN, f"[plugins.'io.containerd.cri.v1.images'.pinned_images]\nsandbox = '{PAUSE}'\n"
    )
    node.start()
    yield node
    lab.remove_host("stuck")


def test_a_sandbox_image_that_cannot_be_had_is_named(stuck: LabNode) -> None:
    eventually(
        lambda: stuck.rke2("status").stdout.partition("\n")[0],
        "the first line says why",
        120,
        ok=lambda line: CAUSE in line,
    )
    assert f"etcd: {CAUSE}" in Path(stuck.log).read_text()
    waited = stuck.rke2("status", "--wait", "--timeout", "1")
    assert waited.returncode == 2
    assert CAUSE in waited.stderr


def test_a_lab_that_gives_up_prints_the_status(stuck: LabNode) -> None:
    eventually(lambda: CAUSE in stuck.rke2("status").stdout, "status says why", 120)
    with pytest.raises(LabError) as caught:
        until_ready(stuck, None, 1)
    assert CAUSE in caught.value.message
    assert "WAITING FOR" in caught.value.message
    assert "level=info" not in caught.value.message
