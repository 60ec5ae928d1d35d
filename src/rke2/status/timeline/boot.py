"""What the boot itself has written down: its phases with what each waited for, imports of archives, services."""

from __future__ import annotations

from collections.abc import Iterator

from rke2.lifecycle.progress import PhaseStatus, ProcessStatus
from rke2.status.timeline.bars import Piece, TimelineBar


def of_process(process: ProcessStatus) -> Iterator[TimelineBar]:
    """Bars of all phases that have begun, then of the rest."""
    for phase in process.phases:
        if phase.started is not None:
            yield _of_phase(phase, phase.started)
    for span in process.spans:
        ended = span.started if span.kind == "service" else span.ended
        yield TimelineBar(span.kind, span.name, span.started, ended)


def _of_phase(phase: PhaseStatus, started: float) -> TimelineBar:
    requires = tuple(f"phase:{name}" for name in phase.requires)
    return TimelineBar("phase", phase.name, started, phase.ended, requires, pieces=tuple(_waits(phase)))


def _waits(phase: PhaseStatus) -> Iterator[Piece]:
    ends = [*(wait.at for wait in phase.waits[1:]), phase.ended]
    for wait, end in zip(phase.waits, ends, strict=False):
        if end is not None and end > wait.at:
            yield Piece(wait.text, wait.at, end)
