"""The one protocol of everything that lives as long as the node, and what happens when such a thing ends.

::

    new ──run()──> starting ──up()──> running ──stop──> stopped
                     ▲  │               │
                     │  └────raises─────┤
                     │                  ├── END_NODE ──> failed    the process ends with that error
                     └───── pause ──────┼── RESTART  ──> failing   started again after a growing pause
                                        └── DEGRADE  ──> failed    the node goes on without it and says so

*What* runs is the service, *who* owns its task and notices its end is `rke2.lifecycle.services`, *how* a program is
spawned is `rke2.lifecycle.process`, *when something starts again* is `rke2.lifecycle.restart`. A service is composed
of these and inherits from none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from rke2.errors import ComponentError, first_error, place_of

Up = Callable[[], None]
"""Called by a service when others may rely on it; again after each start."""


class Policy(Enum):
    """What follows when a service ends although nobody told it to."""

    END_NODE = "the node ends"
    RESTART = "it is started again"
    DEGRADE = "the node goes on without it"


class Service(Protocol):
    """Something that lives as long as the node."""

    @property
    def name(self) -> str:
        """What the operator sees in the log and in ``rke2 status``."""

    async def run(self, up: Up) -> None:
        """Run until cancelled; on cancellation stop in an orderly way.

        Under `Policy.RESTART` it is called again after it has raised, so it must leave nothing behind that a second
        run stumbles over.

        Args:
            up: to be called when others may rely on the service.

        Raises:
            RKE2Error: it failed; the message is shown to the operator.
        """


@dataclass(frozen=True)
class Job:
    """A coroutine function as a service that can be relied on at once."""

    name: str
    work: Callable[[], Awaitable[None]]

    async def run(self, up: Up) -> None:
        up()
        await self.work()


class NodeEnds(Exception):
    """Raised by a service, ends the node under every policy: the service has found out that the node must not go on."""


class Finished(NodeEnds):
    """Ends a process whose phases were all there was to do, as by a wish of the operator's; no failure."""


class EndedError(ComponentError):
    """A service that lives as long as the node has returned, was cancelled by itself, or was stopped to start again."""


def reason_of(error: BaseException) -> str:
    """What the operator is told of `error`: its message, or if it has none of ours what it is and where it arose."""
    first = first_error(error)
    return str(getattr(first, "message", "")) or f"{first!r}{place_of(first)}"
