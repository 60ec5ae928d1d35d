"""A node that starts looks first whether its release is on trial: also one that its own configuration ends at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

_FLAGS = ("--data-dir", "-data-dir", "-d")


def run(argv: Sequence[str], start: Callable[[], int]) -> int:
    """Run `start`; raises as it does, or as `guarded`."""
    if os.geteuid() != 0 or any(each in ("--help", "-h", "-help") for each in argv):
        return start()
    place = data_dir(argv)
    if not (place / "upgrade/state.json").exists():
        return start()  # a node that was never upgraded loads nothing of this
    from rke2.installation.start import guarded
    from rke2.version import VERSION

    return guarded(place, VERSION, start)


def data_dir(argv: Sequence[str]) -> Path:
    """The data directory of a node with these arguments, whatever else is wrong with them."""
    from rke2.cli import configured

    found = ""
    for number, flag in enumerate(argv):
        name, equals, inline = flag.partition("=")
        if name in _FLAGS:
            found = inline if equals else "".join(argv[number + 1 : number + 2])
    return Path(found) if found else configured.data_dir()
