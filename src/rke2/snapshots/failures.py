"""A save that failed: it has no file to be found by, so it is written down to be told."""

from __future__ import annotations

from dataclasses import dataclass

from rke2.config.model import S3Settings


@dataclass(frozen=True)
class Failed:
    """A save that failed: the name it would have had, Unix time, the reason.

    Args:
        store: where it could not be copied to; None if there is no snapshot at all.
    """

    name: str
    taken: int
    reason: str
    store: S3Settings | None = None
