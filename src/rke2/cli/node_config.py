"""What the verbs `server` and `agent` share: from argv to a `NodeConfig`, with help and log in place."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from rke2.cli.logging_setup import set_up
from rke2.cli.root import require_root
from rke2.config.flag import Command
from rke2.config.model import NodeConfig
from rke2.config.redaction import take_secrets_out
from rke2.host import inheritance
from rke2.host.title import set_title

log = logging.getLogger(__name__)


def read(command: Command, argv: Sequence[str]) -> NodeConfig | None:
    """The configuration of this node, or None if the user asked for help and got it.

    Raises:
        ConfigError, UsageError: something is wrong with the input.
    """
    from rke2.config.commandline import parse

    inheritance.open_standard_streams()
    typed = parse(command, argv)
    if typed.help:
        from rke2.cli.flag_help import render

        print(render(command))
        return None
    set_up()
    from rke2.config.build import build_config

    config = build_config(command, typed, os.environ)
    set_up(debug=config.debug)
    return config


def become(command: Command) -> None:
    """See that this process may run a node; show no secret to others from here on, and put right what is inherited.

    Raises:
        HostError: not root.
    """
    require_root(f"rke2 {command}", remedy=f"run it with sudo, or as the systemd unit rke2-{command}")
    set_title(f"rke2 {command}")
    take_secrets_out(os.environ, command)
    for found in inheritance.put_right():
        log.info("inherited from whoever started rke2, and put right: %s", found)
    # Children with Go's resolver look into /etc/hosts first if this is set; upstream sets it the same way.
    os.environ["RES_OPTIONS"] = os.environ.get("RES_OPTIONS") or " "
