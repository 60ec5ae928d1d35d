"""One file under a further name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def link(source: Path, target: Path) -> None:
    """Have `source` at `target`, by a hard link where the file system allows it; there is never half a file."""
    if target.exists() and target.samefile(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # By process: tests lay the same sources out side by side.
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.new")
    unfinished.unlink(missing_ok=True)
    try:
        os.link(source, unfinished)
    except OSError:  # the cache is on another file system
        shutil.copy2(source, unfinished)
    unfinished.replace(target)
