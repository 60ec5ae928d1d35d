"""``rke2 agent``: run a node that joins a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from rke2.cli import node_config, trial
from rke2.cli.quick_import import quick_import


def run(argv: Sequence[str]) -> int:
    """Read the configuration, then boot; configuration errors come before any look at the host.

    Raises:
        ConfigError: the configuration is wrong; nothing was touched.
        HostError: not root, or the machine lacks something; or a release that was on trial was rolled back.
    """
    return trial.run(argv, partial(_start, argv))


def _start(argv: Sequence[str]) -> int:
    config = node_config.read("agent", argv)
    if config is None:
        return 0
    node_config.become("agent")
    with quick_import():
        from rke2.boot.plans.agent import run_agent
    return run_agent(config)
