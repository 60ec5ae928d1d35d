"""``rke2 agent``: run a node that joins a cluster."""

from __future__ import annotations

from collections.abc import Sequence

from rke2.cli import node_config
from rke2.cli.quick_import import quick_import


def run(argv: Sequence[str]) -> int:
    """Read the configuration, then boot; configuration errors come before any look at the host.

    Raises:
        ConfigError: the configuration is wrong; nothing was touched.
        HostError: not root, or the machine lacks something.
    """
    config = node_config.read("agent", argv)
    if config is None:
        return 0
    node_config.become("agent")
    with quick_import():
        from rke2.boot.plans.agent import run_agent
    return run_agent(config)
