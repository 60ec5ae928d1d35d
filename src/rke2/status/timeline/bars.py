"""What a timeline is made of."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["phase", "images", "service", "node", "pod"]


class Piece(msgspec.Struct, frozen=True):
    """A part of a bar: what was waited for, or who had the next step to do. Times as those of `TimelineBar`."""

    name: str
    started: float
    ended: float


class TimelineBar(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that took its time. Times are seconds since the process started.

    Args:
        ended: None while it goes on; of a service, which has no end, `started`.
        requires: keys of what had to be there before it; which of them it really waited for, the times tell.
        begins: when nothing outside kept it any more, where that is not `started`.
        pieces: one after the other.
        critical: had it ended earlier, the last thing could have ended earlier.
    """

    kind: Kind
    name: str
    started: float
    ended: float | None = None
    requires: tuple[str, ...] = ()
    begins: float | None = None
    pieces: tuple[Piece, ...] = ()
    critical: bool = False

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.name}"

    @property
    def free(self) -> float:
        """When nothing outside kept it any more."""
        return self.started if self.begins is None else self.begins


class Timeline(msgspec.Struct, frozen=True):
    """A boot.

    Args:
        role: ``server`` or ``agent``.
        node: the node's name; empty if it is not known yet.
        started: Unix time in seconds, from which all others are counted.
        ready: when rke2 said READY, None if it has not.
        bars: in the order of their starts, phases first.
        complete: whether the API server was there to tell of nodes and pods.
    """

    role: str
    node: str
    started: float
    ready: float | None
    bars: tuple[TimelineBar, ...]
    complete: bool

    @property
    def end(self) -> float:
        """When the last bar ended, or began if none has ended after that."""
        return max((bar.started if bar.ended is None else bar.ended for bar in self.bars), default=0.0)


def pieces(started: float, moments: list[tuple[str, float | None]]) -> tuple[Piece, ...]:
    """Pieces that end at the moments given, each beginning where the one before ends; none without length.

    Args:
        moments: name and end of each step; None for a step that is not known.
    """
    found, begin = [], started
    for name, end in moments:
        if end is not None and end > begin:
            found.append(Piece(name, begin, end))
            begin = end
    return tuple(found)
