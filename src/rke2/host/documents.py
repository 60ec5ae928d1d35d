"""Small JSON files of our own: written whole or not at all, and read past when they are unusable."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from rke2.host.files import ensure_dir, write_atomic

log = logging.getLogger(__name__)
T = TypeVar("T")


def write_document(file: Path, what: Any) -> None:
    """Write `what` durably, into a directory that is made if need be, for root alone.

    Raises:
        OSError: it cannot be written.
    """
    ensure_dir(file.parent, 0o700)
    write_atomic(file, msgspec.json.encode(what), durable=True)


def read_document(file: Path, kind: type[T]) -> T | None:
    """What is in the file; None if there is none, or it cannot be read, which is logged."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        log.warning("%s is ignored: %s", file, error)
        return None
