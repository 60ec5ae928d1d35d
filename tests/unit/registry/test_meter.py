from __future__ import annotations

import io

from rke2.registry.meter import Bar, Meter, steps


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_every_step_is_told_once() -> None:
    said: list[str] = []
    meter = Meter(steps(said.append, percent=25))
    meter.expect(100_000_000)
    for _ in range(100):
        meter.add(1_000_000)
    assert [text.split(",")[0] for text in said] == [f"{n} of 100 MB" for n in (25, 50, 75, 100)]


def test_a_slow_download_is_told_of_by_time() -> None:
    said: list[str] = []
    meter = Meter(steps(said.append, seconds=0.0))
    meter.expect(1_000_000)
    meter.add(1)
    assert len(said) == 2


def test_a_bar_on_a_terminal_ends_full() -> None:
    terminal = Terminal()
    bar = Bar("busybox", terminal)
    meter = Meter(bar.changed)
    meter.expect(3_000_000)
    for _ in range(3):
        meter.add(1_000_000)
    bar.end(meter)
    drawn = terminal.getvalue().split("\r\033[K")
    assert drawn[1].startswith("busybox [....")
    assert drawn[-1].startswith("busybox [##############################] 3 of 3 MB")
    assert terminal.getvalue().endswith("\n")


def test_elsewhere_there_are_lines() -> None:
    stream = io.StringIO()
    bar = Bar("busybox", stream)
    meter = Meter(bar.changed)
    meter.expect(4_000_000)
    for _ in range(4):
        meter.add(1_000_000)
    bar.end(meter)
    assert len(stream.getvalue().splitlines()) == 4
    assert "\r" not in stream.getvalue()
