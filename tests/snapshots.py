"""What a directory tree holds, precise enough to tell whether anything was written in between."""

from __future__ import annotations

from pathlib import Path


def snapshot(root: Path) -> dict[str, tuple[int, int, int]]:
    """Inode, modification and change time of everything below `root`."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        found[str(path.relative_to(root))] = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
    return found
