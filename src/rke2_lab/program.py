"""The command lines of the two small programs of the lab.

``-I -S`` keeps them small and independent of the environment and of site-packages.
"""

from __future__ import annotations

import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
"""The directory that holds the packages ``rke2`` and ``rke2_lab``."""

FILE = Path(sys._xoptions["onefile"]) if sys._xoptions.get("onefile") else None
"""The one file that this process was started from: hosts get it, too."""


def init(record: Path) -> list[str]:
    """Start the host of `record`, see `rke2_lab.init`."""
    return _program("init", str(record))


def enter(record: Path, directory: str, command: list[str]) -> list[str]:
    """Run `command` in `directory` of the host of `record`, see `rke2_lab.enter`."""
    return _program("enter", str(record), directory, *command)


def _program(module: str, *arguments: str) -> list[str]:
    code = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); from rke2_lab.{module} import main; main(sys.argv[1:])"
    return [sys.executable, "-I", "-S", "-c", code, *arguments]
