"""How far a download is, for a status line or a bar on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

_BAR = 30
_REDRAW = 0.1


@dataclass
class Meter:
    """Bytes that have arrived; `total` is 0 until the manifest is there.

    Args:
        changed: called at every change; must be quick.
    """

    changed: Callable[[Meter], None] = lambda meter: None
    total: int = 0
    done: int = 0
    began: float = field(default_factory=time.monotonic)

    def expect(self, total: int) -> None:
        self.total += total
        self.changed(self)

    def add(self, size: int) -> None:
        self.done += size
        self.changed(self)

    @property
    def text(self) -> str:
        """Such as ``45 of 91 MB, 12 MB/s``."""
        rate = self.done / max(time.monotonic() - self.began, 0.001)
        return f"{self.done / 1e6:.0f} of {self.total / 1e6:.0f} MB, {rate / 1e6:.0f} MB/s"


def steps(say: Callable[[str], None], percent: int = 10, seconds: float = 10.0) -> Callable[[Meter], None]:
    """For `Meter.changed`: tell `say` each time so many percent more have arrived, or so many seconds have passed."""
    told: list[float] = [0.0, time.monotonic()]

    def changed(meter: Meter) -> None:
        share = 100 * meter.done / meter.total if meter.total else 0.0
        if share - told[0] >= percent or time.monotonic() - told[1] >= seconds:
            told[:] = [share, time.monotonic()]
            say(meter.text)

    return changed


class Bar:
    """One line on a terminal that is drawn over itself; on anything else, a line now and then."""

    def __init__(self, label: str, stream: TextIO = sys.stderr) -> None:
        self._label, self._stream, self._drawn = label, stream, 0.0
        self._steps = steps(self._line, percent=25)

    def changed(self, meter: Meter) -> None:
        if not self._stream.isatty():
            self._steps(meter)
        elif time.monotonic() - self._drawn >= _REDRAW:
            self._draw(meter)

    def end(self, meter: Meter) -> None:
        """The last state, on a line that stays."""
        if self._stream.isatty():
            self._draw(meter)
            print(file=self._stream)

    def _draw(self, meter: Meter) -> None:
        self._drawn = time.monotonic()
        full = round(_BAR * meter.done / meter.total) if meter.total else 0
        bar = "#" * full + "." * (_BAR - full)
        print(f"\r\033[K{self._label} [{bar}] {meter.text}", end="", file=self._stream, flush=True)

    def _line(self, text: str) -> None:
        print(f"{self._label}: {text}", file=self._stream, flush=True)
