"""Files written so that a crash leaves the old or the new content, never half of one (`write_into` does not)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


def write_atomic(path: Path, content: bytes | str, mode: int = 0o600, *, durable: bool = False) -> bool:
    """Put `content` into `path` by writing a temporary file beside it and renaming it.

    Args:
        mode: permission bits of the file; also corrected when the content is already right. Its owner stays whose
            the file was before: etcd's certificates are those of its user under a hardening profile, also renewed.
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
            _keep_owner(file.fileno(), path)
            if durable:
                os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return True


def _keep_owner(fd: int, path: Path) -> None:
    """Give the new file to whom the one that it replaces belongs; only root can, and only root has to."""
    try:
        before = path.lstat()
    except FileNotFoundError:
        return
    now = os.fstat(fd)
    if os.geteuid() == 0 and (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
        os.fchown(fd, before.st_uid, before.st_gid)


def write_into(path: Path, content: bytes, mode: int) -> None:
    """Write `content` over what the file at `path` holds: who has mounted or opened that file sees it.

    A crash may leave half of it. Who reads at that moment may see the beginning of one content and the end of the
    other; a file of one page, as a certificate with its chain mostly is, is read whole.

    Raises:
        OSError: the file is missing or cannot be written.
    """
    fd = os.open(path, os.O_WRONLY)
    try:
        os.fchmod(fd, mode)
        written = 0
        while written < len(content):
            written += os.pwrite(fd, content[written:], written)
        # Afterwards: what is left of a longer content stands behind the new one, where readers of PEM ignore it.
        os.ftruncate(fd, len(content))
        os.fsync(fd)
    finally:
        os.close(fd)


Stamp = tuple[tuple[int, int, int], ...]


def stamp_of(paths: Iterable[Path]) -> Stamp:
    """Something that is another one when one of the files has been written or replaced.

    Raises:
        OSError: one is missing.
    """
    return tuple((stat.st_mtime_ns, stat.st_ino, stat.st_size) for stat in map(Path.stat, paths))


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
