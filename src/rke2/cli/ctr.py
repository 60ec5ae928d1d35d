"""``rke2 ctr``: containerd's own client, for this node's containerd and the namespace of Kubernetes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from rke2.cli import configured, node_program
from rke2.config.paths import Paths


def run(argv: Sequence[str]) -> NoReturn:
    """Become ctr; ``CONTAINERD_ADDRESS`` and ``CONTAINERD_NAMESPACE`` of the caller precede rke2's.

    Raises:
        ContentError, HostError: it cannot be started.
    """
    paths = Paths(data_dir=configured.data_dir())
    variables = {"CONTAINERD_ADDRESS": str(paths.containerd_socket), "CONTAINERD_NAMESPACE": "k8s.io"}
    node_program.become("ctr", paths.bin, argv, variables)
