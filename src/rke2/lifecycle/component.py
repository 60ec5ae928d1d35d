"""The one protocol of everything that lives as long as the node.

::

    new ──run()──> starting ──ready.set()──> running
                      │                         │
                      │                         ├──cancelled──> stopping ──> stopped
                      └────────── raises ───────┴──> failed     (ends the rke2 process with that error)

*What* runs is the component, *how* it is spawned is `rke2.lifecycle.process`, *when it starts again* is
`rke2.lifecycle.restart`; a component is composed of these and inherits from none.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class Component(Protocol):
    """Something supervised."""

    name: str
    ready: asyncio.Event
    """Set when others may rely on it."""

    async def run(self) -> None:
        """Run until cancelled; on cancellation stop in an orderly way.

        Raises:
            RKE2Error: it failed and cannot be helped by starting it again.
        """
