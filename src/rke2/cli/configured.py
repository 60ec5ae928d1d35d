"""What verbs that ask about a node know of its configuration."""

from __future__ import annotations

import os
from pathlib import Path

from rke2.config import commandline
from rke2.config.flag import Command
from rke2.config.paths import DEFAULT_DATA_DIR
from rke2.config.settings import gather
from rke2.errors import RKE2Error

_COMMANDS: tuple[Command, ...] = ("server", "agent")
"""A file with keys of agents alone is refused for a server, and the other way round."""


def data_dir() -> Path:
    """Where a node started now would keep its state.

    A configuration that is refused, or that this user cannot read, says nothing about where the last one ran.
    """
    for command in _COMMANDS:
        try:
            settings = gather(command, commandline.parse(command, []), os.environ)
        except RKE2Error:
            continue
        return Path(settings.text("data-dir"))
    return DEFAULT_DATA_DIR
