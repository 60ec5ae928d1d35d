"""A clock of its own for the rke2 of one host; there is one for all hosts, and Go programs cannot be told another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rke2_lab.node import LabNode

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
_CLOCK = "/var/log/clock"
"""A host's own file that says by how much its rke2's clock is wrong."""


def set_clock(node: LabNode, offset: str) -> None:
    """Let the clock be wrong by `offset` (``+1h``, ``-2d``) from now on; ``+0`` puts it right."""
    node.host.write_file(_CLOCK, offset, 0o644)


def faked(node: LabNode) -> Mapping[str, str]:
    """With this in its environment rke2 goes by that clock; what measures seconds does not."""
    return {
        "LD_PRELOAD": str(node.host.of_machine(FAKETIME)),
        "FAKETIME_TIMESTAMP_FILE": _CLOCK,
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
