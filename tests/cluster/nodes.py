"""Booting real nodes for the cluster tests: a host of a lab, the built distribution, the tests' own image."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from rke2.config.cni import DEFAULT as DEFAULT_CNI
from rke2.config.paths import Paths
from rke2_lab.follow import until_ready
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode, archives
from tests.cluster.labs import CONTENT

BOOT_SECONDS = 240.0
"""Far above what a boot takes (about 25 s on two free cores)."""


def require_machine() -> None:
    """Skip the test unless this machine can boot a node.

    Where the variable ``CI`` is set, missing content is a failure: there everything has to be tested.
    """
    if os.geteuid() != 0:
        pytest.skip("test hosts need root")
    if archives(CONTENT):
        return
    reason = f"no image archives in {CONTENT}: build them with `make content`"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


LEAN = "ingress-controller: none\ndisable: [rke2-snapshot-controller, rke2-snapshot-controller-crd]\n"
"""Settings of nodes that only some tests use: without what only the shared server's tests need.

The snapshot controller ends itself when no API server answers and it loses its lease: where the containers of a node
must outlive its servers, that is not the node's fault.
"""

_LEAN_FILE = Paths().config_dir / "config.yaml.d/05-lean.yaml"


def make_lean(node: LabNode) -> None:
    """Have a server install no ingress controller; what the node's own settings say wins."""
    node.host.write_file(_LEAN_FILE, LEAN)


def place_server(
    lab: Lab,
    name: str,
    workload: Path | None = None,
    config: str = "",
    cni: str = DEFAULT_CNI.name,
    *,
    lean: bool = True,
) -> LabNode:
    """A running host with everything ``rke2 server`` needs, which is not started.

    Args:
        lab: where the host is made.
        name: of the host.
        workload: archive of the tests' own image (fixture ``workload_archive``), if pods of tests shall run.
        config: content of the node's config.yaml.
        cni: the CNI plugins whose images the node has, as in its config.yaml.
        lean: with `LEAN` settings.
    """
    node = LabNode(lab.add_host(name))
    node.configure()
    node.place_content(CONTENT, cni)
    if lean:
        make_lean(node)
    if config:
        node.host.write_file(Paths().config_dir / "config.yaml", config)
    if workload:
        shutil.copy(workload, node.host.path(Paths().images))
    return node


def boot_server(
    lab: Lab,
    name: str,
    workload: Path | None = None,
    config: str = "",
    cni: str = DEFAULT_CNI.name,
    *,
    lean: bool = True,
) -> LabNode:
    """A server that is ready, all of its system pods running; parameters as of `place_server`.

    Raises:
        LabError: it does not get ready; has the status and the end of the log.
    """
    node = place_server(lab, name, workload, config, cni, lean=lean)
    server = node.start()
    until_ready(node, server, BOOT_SECONDS)
    return node
