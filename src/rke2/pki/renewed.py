"""A certificate that is renewed while pods have it mounted: written into the file that is there.

A container sees the file that was mounted when it began. One that is renamed into its place (`rke2.host.files`) is
another file, which the container never sees. So a renewed certificate is written over the old one, in one piece; the
programs read it again by themselves. Its key, which stays, is not touched.

What a crash may break, and what counts of the file for the pod that has mounted it, is kept beside:

::

    kept: {file: [counted, renewed]} ──▶ the file itself
          │                              half of it is there  ──▶ written again from `renewed` at the next start
          └ `counted` is in the pod's FILE_HASH as long as the file holds `renewed`: the pod stays the same
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

from rke2.config.paths import Paths
from rke2.host.files import ensure_dir, write_atomic, write_into

_FILE = "renewed-certificates.json"


def replace_certificate(paths: Paths, path: Path, pem: bytes, mode: int) -> None:
    """Put a certificate into `path`, which pods may have mounted.

    Raises:
        OSError: it cannot be written.
    """
    if not path.exists():
        write_atomic(path, pem, mode)
        return
    content, kept = path.read_bytes(), dict(kept_of(paths))
    kept[str(path)] = (_text(counted(kept, path, content)), _text(pem))
    # First: of a file that is half written this is all that is known.
    _write(paths, kept)
    write_into(path, pem, mode)


def repair(paths: Paths) -> None:
    """Finish what a crash or a loss of power has cut short.

    A file that was deleted, or exchanged for another since then, is no concern of this.

    Raises:
        OSError: a file cannot be read or written.
    """
    kept = dict(kept_of(paths))
    for name, texts in list(kept.items()):
        path, (before, renewed) = Path(name), map(_bytes, texts)
        content = path.read_bytes() if path.exists() else b""
        if content in (before, renewed):
            continue
        if _is_torn(content, before, renewed):
            write_into(path, renewed, path.stat().st_mode & 0o7777)
        else:
            del kept[name]
    if kept != kept_of(paths):
        _write(paths, kept)


def _is_torn(content: bytes, before: bytes, renewed: bytes) -> bool:
    """Whether every byte of `content` is where it is in the old certificate or the new one."""
    longest = max(len(before), len(renewed))
    if not content or len(content) > longest:
        return False
    return all(each in (0, *before[i : i + 1], *renewed[i : i + 1]) for i, each in enumerate(content))


Kept = Mapping[str, tuple[str, str]]


def counted(kept: Kept, path: Path, content: bytes) -> bytes:
    """What of a file's `content` counts for a pod that has it mounted.

    Args:
        kept: as `kept_of` read it.
    """
    before, renewed = kept.get(str(path), ("", ""))
    return _bytes(before) if renewed and content == _bytes(renewed) else content


def _text(content: bytes) -> str:
    return content.decode(errors="surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def kept_of(paths: Paths) -> Kept:
    """What is known of the certificates that were renewed in place on this node."""
    # Without it, or with another content: pods whose files were renewed are begun again once.
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        document = json.loads((paths.agent_etc / _FILE).read_bytes())
        return {str(name): (str(before), str(renewed)) for name, (before, renewed) in document.items()}
    return {}


def _write(paths: Paths, kept: Kept) -> None:
    ensure_dir(paths.agent_etc, 0o755)
    write_atomic(paths.agent_etc / _FILE, json.dumps(kept, indent=1, sort_keys=True), 0o600, durable=True)
