"""``rke2 agent``: run a node that joins a cluster."""

from __future__ import annotations

from collections.abc import Sequence

from rke2.cli import node_config
from rke2.errors import NotSupportedError


def run(argv: Sequence[str]) -> int:
    """Read and check the configuration; joining a cluster comes with the next release.

    Raises:
        ConfigError: the configuration is wrong.
        NotSupportedError: always, if it is right.
    """
    config = node_config.read("agent", argv)
    if config is None:
        return 0
    assert config.join is not None
    raise NotSupportedError(
        f"joining {config.join.server_url} as an agent is not supported yet",
        "this release runs one node: use `rke2 server`",
    )
