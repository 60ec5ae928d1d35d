"""What the person who waits sees: live lines on a terminal, one line per event elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol, TextIO

_FRAME_SECONDS = 0.2
_CLEAR_TO_END = "\x1b[J"


class Progress(Protocol):
    """Told by the scheduler what happens."""

    def started(self, name: str) -> None:
        """A task begins."""

    def note(self, name: str, text: str) -> None:
        """What a running task does at the moment."""

    def finished(self, name: str, seconds: float) -> None:
        """A task ended well."""

    def failed(self, name: str, seconds: float) -> None:
        """A task failed or was cancelled because another failed."""


@dataclass
class PlainProgress:
    """For logs and pipes: a line per beginning and end, the notes left out."""

    out: TextIO = field(default_factory=lambda: sys.stdout)

    def started(self, name: str) -> None:
        self._line(f"{name}: started")

    def note(self, name: str, text: str) -> None:
        """Notes change many times a second: no log wants them."""

    def finished(self, name: str, seconds: float) -> None:
        self._line(f"{name}: done in {seconds:.1f} s")

    def failed(self, name: str, seconds: float) -> None:
        self._line(f"{name}: stopped after {seconds:.1f} s")

    def _line(self, text: str) -> None:
        print(text, file=self.out, flush=True)


@dataclass
class LiveProgress:
    """For terminals: finished tasks scroll by, one line per running task is kept up to date below them."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    _begin: dict[str, float] = field(default_factory=dict)
    _notes: dict[str, str] = field(default_factory=dict)
    _drawn: int = 0

    def started(self, name: str) -> None:
        self._begin[name] = time.monotonic()
        self.draw()

    def note(self, name: str, text: str) -> None:
        self._notes[name] = text

    def finished(self, name: str, seconds: float) -> None:
        self._end(name, f"  done    {name:<24} {seconds:6.1f} s")

    def failed(self, name: str, seconds: float) -> None:
        self._end(name, f"  stopped {name:<24} {seconds:6.1f} s")

    def draw(self) -> None:
        """Draw the running tasks over their previous lines."""
        width = shutil.get_terminal_size().columns - 1
        lines = [self._running_line(name)[:width] for name in self._begin]
        self._replace(lines)
        self._drawn = len(lines)

    def _running_line(self, name: str) -> str:
        seconds = time.monotonic() - self._begin[name]
        return f"  ...     {name:<24} {seconds:6.1f} s  {self._notes.get(name, '')}"

    def _end(self, name: str, line: str) -> None:
        self._begin.pop(name, None)
        self._notes.pop(name, None)
        self._replace([line])
        self._drawn = 0
        self.draw()

    def _replace(self, lines: list[str]) -> None:
        up = f"\x1b[{self._drawn}F" if self._drawn else ""
        self.out.write(up + _CLEAR_TO_END + "".join(f"{line}\n" for line in lines))
        self.out.flush()


@asynccontextmanager
async def progress_on(out: TextIO) -> AsyncIterator[Progress]:
    """The display that fits `out`; a live one is redrawn while the block runs."""
    if not out.isatty():
        yield PlainProgress(out)
        return
    live = LiveProgress(out)
    redraw = asyncio.create_task(_redraw(live))
    try:
        yield live
    finally:
        redraw.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await redraw


async def _redraw(live: LiveProgress) -> None:
    while True:
        await asyncio.sleep(_FRAME_SECONDS)
        live.draw()
