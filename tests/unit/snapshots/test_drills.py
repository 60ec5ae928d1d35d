"""When the newest snapshot is verified, by a clock of the test's: in time, made up for, and told if it fails."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from rke2.config.model import SnapshotSettings
from rke2.errors import HostError, RKE2Error
from rke2.snapshots import drills
from rke2.snapshots.directory import SnapshotFile
from rke2.snapshots.drills import FIRST, TROUBLE, Drills, ScheduledDrills
from rke2.snapshots.record import DrillVerdict
from rke2.snapshots.request import SnapshotRequestError

SUNDAY = datetime(2026, 11, 29, 4, 0, tzinfo=UTC).timestamp()
DAY = 86400.0
WEEK = 7 * DAY


class Enough(Exception):
    """Ends a run."""


@dataclass
class World:
    """A wall clock that goes on only when somebody sleeps, and drills that are only counted."""

    at: float
    there: list[SnapshotFile] = field(default_factory=list)
    results: list[DrillVerdict | RKE2Error] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    shown: list[float] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)

    settings = SnapshotSettings(verify_schedule="CRON_TZ=UTC 0 4 * * 0")

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds
        await asyncio.sleep(0)

    async def inventory(self) -> list[SnapshotFile]:
        return self.there

    @property
    def snapshots(self) -> World:
        return self

    async def verify(self) -> DrillVerdict:
        if not self.results:
            raise Enough
        self.done.append(self.at)
        result = self.results.pop(0)
        if isinstance(result, RKE2Error):
            raise result
        return result

    async def run(self) -> None:
        service = ScheduledDrills(
            cast("Drills", self),
            show=self.shown.append,
            tell=lambda about, words: self.told.append((about, words)),
            clock=self,
            now=self.now,
        )
        with pytest.raises(Enough):
            await service.run(lambda: None)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drills, "SPREAD", 0.0)


def snapshot(taken: float, verified: float = 0.0) -> SnapshotFile:
    verdict = DrillVerdict("s", int(verified)) if verified else None
    return SnapshotFile(Path("/s/s-n-1"), 1, int(taken), {}, verdict)


GOOD = DrillVerdict("s-n-1", 1)


async def test_the_newest_is_verified_each_week() -> None:
    world = World(SUNDAY + DAY, [snapshot(SUNDAY - DAY, SUNDAY + 1)], [GOOD, GOOD])
    await world.run()
    assert world.done == [SUNDAY + WEEK, SUNDAY + 2 * WEEK]
    assert world.shown[0] == SUNDAY + WEEK
    assert world.told == [(TROUBLE, ""), (TROUBLE, "")]


@pytest.mark.parametrize(
    ("there", "first"),
    [
        ([], SUNDAY + WEEK),  # there was nothing to verify
        ([snapshot(SUNDAY + DAY / 2)], SUNDAY + WEEK),
        ([snapshot(SUNDAY - DAY)], SUNDAY + DAY + FIRST),
        ([snapshot(SUNDAY - WEEK, SUNDAY - DAY)], SUNDAY + DAY + FIRST),
        ([snapshot(SUNDAY - WEEK, SUNDAY + 60)], SUNDAY + WEEK),
    ],
)
async def test_a_drill_that_was_missed_is_made_up_for(there: list[SnapshotFile], first: float) -> None:
    world = World(SUNDAY + DAY, there, [GOOD])
    await world.run()
    assert world.done == [first]


async def test_what_fails_is_told_until_one_succeeds() -> None:
    failed = DrillVerdict("s-n-1", 1, "it is cut off")
    none = SnapshotRequestError("no snapshot on this server")
    results: list[Any] = [failed, HostError("no room"), none, GOOD]
    world = World(SUNDAY + DAY, [snapshot(SUNDAY - DAY, SUNDAY + 1)], results)
    await world.run()
    assert world.told == [
        (TROUBLE, "snapshot s-n-1 does not restore: it is cut off"),
        (TROUBLE, "the newest snapshot could not be verified: no room"),
        (TROUBLE, ""),
    ]
