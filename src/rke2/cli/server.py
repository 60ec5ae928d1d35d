"""``rke2 server``: run a server until it is told to stop; with ``--cluster-reset`` until its cluster is reset."""

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
    config = node_config.read("server", argv)
    if config is None:
        return 0
    node_config.become("server")
    if config.server and config.server.reset:
        from rke2.boot.plans.reset import run_reset

        return run_reset(config)
    with quick_import():
        from rke2.boot.plans.server import run_server
    return run_server(config)
