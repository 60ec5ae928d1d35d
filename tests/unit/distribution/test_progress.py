from __future__ import annotations

import io
import os
import pty

from distribution.builder.progress import LiveProgress, PlainProgress, progress_on


class Screen:
    """What a terminal shows after the few control sequences that `LiveProgress` writes."""

    def __init__(self, output: str) -> None:
        self.lines = [""]
        for part in output.split("\x1b["):
            self._take(part)

    def _take(self, part: str) -> None:
        number = part[: len(part) - len(part.lstrip("0123456789"))]
        if number and part[len(number)] == "F":
            del self.lines[len(self.lines) - 1 - int(number) :]
            self.lines.append("")
            part = part[len(number) + 1 :]
        part = part.removeprefix("J")
        first, *others = part.split("\n")
        self.lines[-1] += first
        self.lines += others


def test_running_tasks_stay_below_what_is_done() -> None:
    out = io.StringIO()
    live = LiveProgress(out)
    live.started("etcd")
    live.started("runc")
    live.note("etcd", "12 packages compiled")
    live.finished("runc", 3.25)
    live.draw()
    shown = [line.split() for line in Screen(out.getvalue()).lines if line]
    assert shown == [
        ["done", "runc", "3.2", "s"],
        ["...", "etcd", "0.0", "s", "12", "packages", "compiled"],
    ]
    live.failed("etcd", 5)
    assert [line.split()[:2] for line in Screen(out.getvalue()).lines if line] == [
        ["done", "runc"],
        ["stopped", "etcd"],
    ]


async def test_terminals_get_live_lines_and_logs_plain_ones() -> None:
    async with progress_on(io.StringIO()) as progress:
        assert isinstance(progress, PlainProgress)
    primary, secondary = pty.openpty()
    with os.fdopen(primary, "rb"), os.fdopen(secondary, "w") as terminal:
        async with progress_on(terminal) as progress:
            assert isinstance(progress, LiveProgress)


def test_a_log_has_one_line_per_event() -> None:
    out = io.StringIO()
    plain = PlainProgress(out)
    plain.started("etcd")
    plain.note("etcd", "12 packages compiled")
    plain.finished("etcd", 22.04)
    assert out.getvalue() == "etcd: started\netcd: done in 22.0 s\n"
