"""A boot's timeline as a picture: ``docs/images/boot.svg``.

``.venv/bin/python -m tests.bench.picture FILE > docs/images/boot.svg`` makes one of what ``rke2 status --timeline -o
json`` has said; ``tests.bench.boot --picture FILE`` of its first cold boot of rke2.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import msgspec

from rke2.status.timeline.bars import Timeline, TimelineBar

ROW, LABELS, AXIS, TOP, MARGIN = 18, 330, 640, 64, 12
"""Pixels: height of a row, width of the names, width of the axis, what is above the rows, around everything."""
COLOURS = {"phase": "#4c78a8", "images": "#72b7b2", "service": "#777777", "node": "#54a24b", "pod": "#b279a2"}
CRITICAL = "#e45756"
_FONT = 'font-family="sans-serif" font-size="11"'
TICKS = 10
"""How many there are on the axis, about."""


def svg(timeline: Timeline) -> str:
    """The picture: a row for each bar, those of the critical path framed, their pieces divided by lines."""
    bars = [bar for bar in timeline.bars if bar.kind != "service"]
    scale = AXIS / (timeline.end or 1.0)
    width, height = LABELS + AXIS + 2 * MARGIN, TOP + ROW * len(bars) + MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {_FONT}>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        _text(MARGIN, 20, _title(timeline), "font-size='14'"),
        *_axis(timeline.end, scale, height),
    ]
    for row, bar in enumerate(bars):
        lines += _row(bar, TOP + row * ROW, timeline.end, scale)
    return "\n".join([*lines, "</svg>", ""])


def _title(timeline: Timeline) -> str:
    ready = "" if timeline.ready is None else f"READY after {timeline.ready:.1f} s, "
    return (
        f"Boot of a {timeline.role}: {ready}all after {timeline.end:.1f} s; the critical path has red frames"
    )


def _axis(end: float, scale: float, height: int) -> Iterator[str]:
    step = next(each for each in (1, 2, 5, 10, 20, 50, 100, 200, 500) if end / each <= TICKS or each == 500)
    for second in range(0, int(end) + 1, step):
        x = _x(second, scale)
        yield f'<line x1="{x:.1f}" y1="{TOP - 14}" x2="{x:.1f}" y2="{height - MARGIN}" stroke="#dddddd"/>'
        yield _text(x + 2, TOP - 18, f"{second} s")


def _row(bar: TimelineBar, y: int, end: float, scale: float) -> Iterator[str]:
    ended = end if bar.ended is None else bar.ended
    x, width = _x(bar.started, scale), max(1.5, (ended - bar.started) * scale)
    frame = f' stroke="{CRITICAL}" stroke-width="2"' if bar.critical else ""
    yield _text(MARGIN, y + 12, f"{bar.kind} {bar.name}")
    yield f'<rect x="{x:.1f}" y="{y + 2}" width="{width:.1f}" height="{ROW - 5}" fill="{COLOURS[bar.kind]}"{frame}>'
    yield f"<title>{escape(_told(bar, ended))}</title></rect>"
    for piece in bar.pieces[1:]:
        at = _x(piece.started, scale)
        yield f'<line x1="{at:.1f}" y1="{y + 2}" x2="{at:.1f}" y2="{y + ROW - 3}" stroke="#ffffff"/>'


def _told(bar: TimelineBar, ended: float) -> str:
    parts = [f"{piece.ended - piece.started:.1f} s {piece.name}" for piece in bar.pieces]
    return "; ".join([f"{bar.kind} {bar.name}: {bar.started:.1f} – {ended:.1f} s", *parts])


def _x(second: float, scale: float) -> float:
    return MARGIN + LABELS + second * scale


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="#222222" {more}>{escape(text)}</text>'


def main() -> None:
    timeline = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Timeline)
    sys.stdout.write(svg(timeline))


if __name__ == "__main__":
    main()
