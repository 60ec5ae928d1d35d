"""The schedule by a clock of the test's: due, late, missed, failed."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rke2.config.model import S3Settings, SnapshotSettings
from rke2.errors import EtcdError
from rke2.lifecycle.progress import SnapshotSchedule
from rke2.snapshots.directory import SnapshotFile
from rke2.snapshots.request import SnapshotAnswer
from rke2.snapshots.scheduled import ScheduledSnapshots

NOON = datetime(2026, 11, 30, 12, 0, tzinfo=UTC).timestamp()
HOUR = 3600.0


class Enough(Exception):
    """Ends a run."""


@dataclass
class World:
    """A wall clock that goes on only when somebody sleeps, and snapshots that are only counted."""

    expression: str = "CRON_TZ=UTC 0 */6 * * *"
    at: float = NOON + HOUR
    saves: int = 3
    failures: list[EtcdError | None] = field(default_factory=list)
    there: list[SnapshotFile] = field(default_factory=list)
    jumps: dict[float, float] = field(default_factory=dict)
    """When the clock gets to the key, it is set to the value."""
    taken: list[float] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)
    shown: list[SnapshotSchedule] = field(default_factory=list)

    # of the clock
    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.at += seconds
        for moment in [moment for moment in self.jumps if moment <= self.at]:
            self.at = self.jumps.pop(moment)
        await asyncio.sleep(0)

    # of the snapshots
    node, directory = "n", Path("/s")

    @property
    def settings(self) -> SnapshotSettings:
        return SnapshotSettings(name="s", schedule=self.expression)

    def wish(self, s3: S3Settings | None = None) -> str:
        return "as configured"

    async def save(self, wish: str) -> SnapshotAnswer:
        self.taken.append(self.at)
        failure = self.failures.pop(0) if self.failures else None
        if len(self.taken) >= self.saves:
            raise Enough
        if failure:
            raise failure
        return SnapshotAnswer()

    async def inventory(self) -> list[SnapshotFile]:
        return self.there

    async def run(self, began: float = 0.0) -> list[float]:
        """When snapshots were taken, in hours after noon."""
        snapshots: Any = self
        service = ScheduledSnapshots(
            snapshots,
            began=began or self.at,
            show=self.shown.append,
            tell=self.told.__setitem__,
            clock=self,
            now=self.now,
        )
        with pytest.raises(Enough):
            await service.run(lambda: None)
        return [round((moment - NOON) / HOUR, 1) for moment in self.taken]


async def test_each_time_is_kept_once() -> None:
    world = World()
    assert await world.run() == [6.0, 12.0, 18.0]
    assert [round((each.next - NOON) / HOUR) for each in world.shown if each][:1] == [6]
    assert all(0 <= moment - NOON - 6 * HOUR * n <= 5 for n, moment in enumerate(world.taken, 1))


async def test_a_period_is_counted_from_the_start() -> None:
    assert await World("@every 90m").run() == [2.5, 4.0, 5.5]


async def test_a_machine_that_slept_takes_what_was_due(caplog: pytest.LogCaptureFixture) -> None:
    world = World(jumps={NOON + 5 * HOUR: NOON + 8 * HOUR})
    assert await world.run() == [8.0, 12.0, 18.0]
    assert "is taken only now: this machine slept" in caplog.text


async def test_a_clock_that_is_set_back_does_not_stop_them() -> None:
    world = World(jumps={NOON + 3 * HOUR: NOON - 30 * 24 * HOUR})
    assert (await world.run())[0] == -30 * 24 + 6


async def test_what_was_due_while_rke2_did_not_run_is_told(caplog: pytest.LogCaptureFixture) -> None:
    old = SnapshotFile(Path("/s/s-n-1"), 1, int(NOON - 6 * HOUR))
    other = SnapshotFile(Path("/s/on-demand-n-1"), 1, int(NOON + 60))
    world = World(there=[old, other], saves=2)
    await world.run(began=NOON - 24 * HOUR)
    assert "the snapshot that was due at 2026-11-30T12:00:00+00:00 was not taken" in caplog.text
    assert world.told == {"etcd snapshots": ""}  # until the next one was taken


@pytest.mark.parametrize(
    ("there", "began"),
    [([SnapshotFile(Path("/s/s-n-1"), 1, int(NOON + 3))], NOON - 24 * HOUR), ([], NOON + 60)],
)
async def test_nothing_is_missed_by_who_ran_or_is_new(there: list[SnapshotFile], began: float) -> None:
    world = World(there=there, saves=1)
    await world.run(began=began)
    assert world.told == {}


async def test_a_failure_is_told_until_one_succeeds(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    world = World(failures=[EtcdError("no space")], saves=2)
    await world.run()
    assert "Failed to take scheduled snapshot: no space" in caplog.text
    assert world.told == {"etcd snapshots": "the last scheduled snapshot failed: no space"}
    assert await World(failures=[EtcdError("no space")], saves=3).run() == [6.0, 12.0, 18.0]
