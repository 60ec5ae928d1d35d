from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rke2.lifecycle.phases import Phase, check_order, run_phases
from rke2.lifecycle.progress import Progress, read_status


def phase(name: str, *requires: str, run: object = None) -> Phase:
    async def nothing() -> None: ...

    return Phase(name, requires, f"{name} to pass", run or nothing)  # type: ignore[arg-type]


@pytest.fixture
def progress(tmp_path: Path) -> Progress:
    return Progress(tmp_path / "status.json", "server", "v1")


async def test_a_phase_starts_when_its_requirements_are_done(progress: Progress) -> None:
    order: list[str] = []

    def record(name: str):  # type: ignore[no-untyped-def]
        async def run() -> None:
            await asyncio.sleep(0)
            order.append(name)

        return run

    await run_phases(
        [
            phase("a", run=record("a")),
            phase("c", "a", run=record("c")),
            phase("d", "c", "a", run=record("d")),
        ],
        progress,
    )
    assert order == ["a", "c", "d"]


async def test_independent_phases_run_at_the_same_time(progress: Progress) -> None:
    met = asyncio.Barrier(2)

    async def meet() -> None:
        async with asyncio.timeout(1):
            await met.wait()

    await run_phases([phase("a", run=meet), phase("b", run=meet)], progress)


async def test_a_failure_cancels_the_others_and_is_on_disk(progress: Progress, tmp_path: Path) -> None:
    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ExceptionGroup):
        await run_phases(
            [phase("a", run=fail), phase("b", run=asyncio.Event().wait), phase("c", "b")], progress
        )
    status = read_status(tmp_path / "status.json")
    assert status is not None
    assert [p.state for p in status.phases] == ["failed", "cancelled", "pending"]


async def test_what_is_waited_for_is_on_disk_while_it_is(progress: Progress, tmp_path: Path) -> None:
    async def look() -> None:
        progress.detail("a", "the moon")
        status = read_status(tmp_path / "status.json")
        assert status is not None
        assert (status.phases[0].state, status.phases[0].detail) == ("running", "the moon")

    await run_phases([phase("a", run=look)], progress)


@pytest.mark.parametrize(
    "phases", [[phase("a", "b"), phase("b")], [phase("a"), phase("a")], [phase("a", "x")]]
)
def test_a_list_that_does_not_read_from_top_to_bottom_is_refused(phases: list[Phase]) -> None:
    with pytest.raises(ValueError, match="phase"):
        check_order(phases)
