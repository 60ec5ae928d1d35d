"""A timeline for a terminal: one line for each bar, below each other on one axis."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from rke2.columns import aligned
from rke2.status.timeline.bars import Timeline, TimelineBar

WIDTH = 48
"""Columns of the axis."""
LEAST = 0.05
"""Seconds: a piece that is shorter is not listed."""
_LONGEST = 76


def as_text(timeline: Timeline) -> str:
    """The chart, then the critical path with what each of its bars waited for."""
    lines = [_headline(timeline), "", *_chart(timeline), "", "Critical path (*), with what each waited for:"]
    path = [bar for bar in timeline.bars if bar.critical]
    for bar in sorted(path, key=lambda bar: (bar.free, bar.ended or bar.free)):
        lines += _explained(bar)
    return "\n".join(lines)


def _headline(timeline: Timeline) -> str:
    at = datetime.fromtimestamp(timeline.started, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    name = f"rke2 {timeline.role}" + (f" on {timeline.node}" if timeline.node else "")
    ready = "not READY" if timeline.ready is None else f"READY after {timeline.ready:.1f} s"
    pods = "" if timeline.complete else "; the API server does not answer, so nodes and pods are missing"
    return f"{name}, started {at}: {ready}, everything listed after {timeline.end:.1f} s{pods}"


def _chart(timeline: Timeline) -> list[str]:
    end = timeline.end
    head = ("", "KIND", "NAME", "FROM", "TO", "SECONDS", f"0{f'{end:.1f} s'.rjust(WIDTH - 1)}")
    return aligned([head, *(_row(bar, end) for bar in timeline.bars)], gap=2)


def _row(bar: TimelineBar, end: float) -> tuple[str, ...]:
    over = bar.ended is not None and bar.kind != "service"
    to, seconds = (
        (f"{bar.ended:.1f}", f"{bar.ended - bar.started:.1f}") if over and bar.ended is not None else ("", "")
    )
    mark = "*" if bar.critical else ""
    return (mark, bar.kind, bar.name, f"{bar.started:.1f}", to, seconds, _drawn(bar, end))


def _drawn(bar: TimelineBar, end: float) -> str:
    first = _column(bar.started, end)
    last = _column(end if bar.ended is None else bar.ended, end)
    if bar.kind == "service":
        return " " * first + "|"
    return " " * first + ("#" if bar.critical else "-") * max(1, last - first)


def _column(at: float, end: float) -> int:
    return min(WIDTH - 1, max(0, round(at / end * WIDTH))) if end else 0


def _explained(bar: TimelineBar) -> Iterator[str]:
    ended = bar.free if bar.ended is None else bar.ended
    yield f"  {bar.started:7.1f} – {ended:.1f}  {bar.kind} {bar.name}"
    yield from (
        f"      {piece.ended - piece.started:6.1f} s  {_short(piece.name)}"
        for piece in bar.pieces
        if piece.ended - piece.started >= LEAST
    )


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
