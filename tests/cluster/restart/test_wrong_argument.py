"""A component that ends over an unknown argument is named by ``rke2 status``, with what it said."""

from __future__ import annotations

import pytest

from rke2.config.paths import Paths
from tests.cluster.eventually import eventually
from tests.cluster.restart.server import Server

DROP_IN = Paths().config_dir / "config.yaml.d/99-wrong.yaml"
"""Behind that of `changing`, which stays on the server: of one list in several files the last counts."""


@pytest.mark.parametrize("component", ["kubelet", "kube-apiserver", "kube-scheduler"])
def test_what_a_component_said_before_it_ended_is_told(server: Server, component: str) -> None:
    server.terminate()
    server.node.host.write_file(DROP_IN, f"{component}-arg: [no-such-flag=1]\n")
    server.start()
    try:
        eventually(
            lambda: server.node.rke2("status").stdout.partition("\n")[0],
            "rke2 status says why",
            180,
            ok=lambda line: (
                f"waiting for {component}, which ended: " in line and "unknown flag: --no-such-flag" in line
            ),
        )
    finally:
        server.node.host.path(DROP_IN).unlink()
        server.terminate()
        server.start()
        server.until_ready()
