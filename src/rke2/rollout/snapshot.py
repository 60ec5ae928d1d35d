"""The snapshot before the first server of a Plan is upgraded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rke2.errors import EtcdError
from rke2.snapshots.taking import Snapshots

BASE = "before-upgrade"
"""Base name of the file."""


def before_upgrade(snapshots: Snapshots | None) -> Callable[[], Awaitable[str]] | None:
    """Takes one and returns its name; None on a server without a member."""
    if snapshots is None:
        return None

    async def take() -> str:
        answer = await snapshots.save(snapshots.wish(BASE))
        if not answer.created:
            raise EtcdError("; ".join(answer.errors) or "no snapshot was written")
        return answer.created[0]

    return take
