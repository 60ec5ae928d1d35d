"""The critical path: from the last thing that ended back to the start, each time over what it had waited for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from rke2.status.timeline.bars import TimelineBar

ROUNDED = 1.0
"""Seconds by which a time of the API may be too early: it is cut off to whole ones."""

_LASTING = ("service", "images")
"""What goes on beside the boot: what waits for it says so itself."""


def with_critical(bars: Iterable[TimelineBar]) -> tuple[TimelineBar, ...]:
    """The same bars, those of the critical path marked."""
    known = {bar.key: bar for bar in bars}
    path = set(critical_path(known))
    return tuple(msgspec.structs.replace(bar, critical=key in path) for key, bar in known.items())


def critical_path(bars: Mapping[str, TimelineBar]) -> list[str]:
    """Keys of the bars on the path, the last one first; empty if nothing has ended."""
    ended = [bar for bar in bars.values() if bar.ended is not None and bar.kind not in _LASTING]
    path: list[str] = []
    bar = max(ended, key=lambda each: each.ended or 0.0, default=None)
    while bar is not None and bar.key not in path:
        path.append(bar.key)
        bar = _waited_for(bar, [bars[key] for key in bar.requires if key in bars])
    return path


def _waited_for(bar: TimelineBar, required: list[TimelineBar]) -> TimelineBar | None:
    """Which of `required` was the last to let `bar` go on."""
    moments = [(moment, each) for each in required if (moment := _let_go(each, bar.free)) is not None]
    return max(moments, key=lambda pair: pair[0])[1] if moments else None


def _let_go(required: TimelineBar, free: float) -> float | None:
    """When `required` let somebody go on who was free at `free`: with its end, or before it with something it began."""
    if required.ended is not None and required.ended <= free + ROUNDED:
        return required.ended
    return required.started if required.started <= free + ROUNDED else None
