"""``rke2 server``: run a server until it is told to stop."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rke2.cli import node_config
from rke2.errors import HostError


def run(argv: Sequence[str]) -> int:
    """Read the configuration, then boot; configuration errors come before any look at the host.

    Raises:
        ConfigError: the configuration is wrong; nothing was touched.
        HostError: not root, or the machine lacks something.
    """
    config = node_config.read("server", argv)
    if config is None:
        return 0
    if os.geteuid() != 0:
        raise HostError(
            "rke2 server must run as root", "run it with sudo, or as the systemd unit rke2-server"
        )
    # Children with Go's resolver look into /etc/hosts first if this is set; upstream sets it the same way.
    os.environ["RES_OPTIONS"] = os.environ.get("RES_OPTIONS") or " "
    from rke2.boot.server import run_server

    return run_server(config)
