"""What the verbs `server` and `agent` share: from argv to a `NodeConfig`, with help and log in place."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rke2.cli.logging_setup import set_up
from rke2.config.flag import Command
from rke2.config.model import NodeConfig


def read(command: Command, argv: Sequence[str]) -> NodeConfig | None:
    """The configuration of this node, or None if the user asked for help and got it.

    Raises:
        ConfigError, UsageError: something is wrong with the input.
    """
    from rke2.config.commandline import parse

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
