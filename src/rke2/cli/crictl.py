"""``rke2 crictl``: the client of the container runtime interface, for this node's containerd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from rke2.cli import configured, node_program
from rke2.config.paths import Paths


def run(argv: Sequence[str]) -> NoReturn:
    """Become crictl; its own settings, ``CRI_CONFIG_FILE`` and ``CONTAINER_RUNTIME_ENDPOINT``, precede rke2's.

    Raises:
        ContentError, HostError: it cannot be started.
    """
    paths = Paths(data_dir=configured.data_dir())
    variables = {"CRI_CONFIG_FILE": str(paths.crictl_config)}
    node_program.become("crictl", paths.bin, argv, variables)
