"""What a server refuses before it starts: another CNI plugin than it was created with, and choices that cannot work."""

from __future__ import annotations

import pytest

from rke2.config.paths import Paths
from rke2_lab.node import LabNode

EVERY_TIME = ("multus", "canal,multus", "canal,calico", "canalx", "flannel")


def starts_with(node: LabNode, config: str, *fragments: str) -> None:
    """Fail unless a node that is configured so ends at once, with a message that has the fragments.

    Its own configuration is in force again afterwards; a server that runs there is not touched.
    """
    file = node.host.path(Paths().config_dir / "refused.yaml")
    file.write_text(config)
    done = node.rke2("server", "--config", str(Paths().config_dir / "refused.yaml"), timeout=60)
    assert done.returncode == 1, done.stdout
    for fragment in fragments:
        assert fragment in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("choice", EVERY_TIME)
def test_a_choice_that_cannot_be(cluster: LabNode, choice: str) -> None:
    starts_with(cluster, f"cni: {choice}\n", "cni", "hint: ")


def test_canal_without_kube_proxy(cluster: LabNode) -> None:
    starts_with(
        cluster, "disable-kube-proxy: true\n", "disable-kube-proxy leaves nobody", "cni canal", "hint: "
    )
