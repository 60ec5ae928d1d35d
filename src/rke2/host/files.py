"""Files written so that a crash at any moment leaves the old or the new content, never half of one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_atomic(path: Path, content: bytes | str, mode: int = 0o600, *, durable: bool = False) -> bool:
    """Put `content` into `path` by writing a temporary file beside it and renaming it.

    Args:
        mode: permission bits of the file; also corrected when the content is already right.
        durable: fsync the file before the rename (keys and tokens; not needed for generated config).

    Returns:
        True if the content changed, False if the file held it already.

    Raises:
        OSError: the directory is missing, not writable or full; nothing was replaced then.
    """
    data = content.encode() if isinstance(content, str) else content
    if _holds(path, data):
        if path.stat().st_mode & 0o7777 != mode:
            path.chmod(mode)
        return False
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            if durable:
                os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return True


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except FileNotFoundError:
        return False


def ensure_dir(path: Path, mode: int = 0o755) -> Path:
    """Make `path` (and its parents with the default mode) and give it `mode` if it is new."""
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(exist_ok=True)
        path.chmod(mode)
    return path
