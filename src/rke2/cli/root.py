"""Verbs that only root may run say so before they look at anything."""

from __future__ import annotations

import os

from rke2.errors import HostError


def require_root(command: str, why: str = "", remedy: str = "run it with sudo") -> None:
    """See that this process is root's.

    Args:
        command: as it was typed, such as ``rke2 upgrade``.
        why: it must be; empty where nobody asks.

    Raises:
        HostError: it is not.
    """
    if os.geteuid() != 0:
        raise HostError(f"{command} must run as root" + (f": {why}" if why else ""), remedy)
