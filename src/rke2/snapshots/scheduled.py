"""The scheduled snapshots of this server: a service that waits for the wall clock, and says what it missed.

RKE2 drops the error of a bad expression and the runs of a time in which it did not run, both in silence.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

from rke2.config.schedule import Schedule, parse_schedule
from rke2.errors import RKE2Error
from rke2.lifecycle.clock import CLOCK, Clock
from rke2.lifecycle.progress import SnapshotSchedule
from rke2.lifecycle.service import Up
from rke2.snapshots import names, wall
from rke2.snapshots.taking import Snapshots

log = logging.getLogger(__name__)

JITTER = 5.0
"""Each run waits up to as long first, as in RKE2: servers share a disk or a store, and all are due at once."""
LATE = 60.0
"""Seconds after which a run counts as late."""


class ScheduledSnapshots:
    """Takes the snapshots of ``etcd-snapshot-schedule-cron``.

    Args:
        began: Unix time since which this server has had a member: what was due before was not missed.
        show: gets what `rke2 status` shows.
        tell: shows the operator a trouble, or with no words that it is over.
        now: Unix time.
    """

    name = "etcd snapshots"

    def __init__(
        self,
        snapshots: Snapshots,
        *,
        began: float,
        show: Callable[[SnapshotSchedule], None],
        tell: Callable[[str, str], None],
        clock: Clock = CLOCK,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._snapshots, self._began = snapshots, began
        self._show, self._tell = show, tell
        self._clock, self._now = clock, now
        self._schedule: Schedule = parse_schedule(snapshots.settings.schedule)

    async def run(self, up: Up) -> None:
        """Take them until cancelled; one that fails ends nothing."""
        up()
        await self._look_back()
        due = self._next(self._now())
        log.info(
            "Scheduled snapshots: %s, in time zone %s; the next at %s",
            self._snapshots.settings.schedule,
            self._schedule.zone,
            self._shown(due),
        )
        while True:
            due = await self._until(due)
            await self._clock.sleep(random.uniform(0, JITTER))
            await self._take()
            due = self._next(max(self._now(), due))

    # --- when --------------------------------------------------------------------------------------
    def _next(self, after: float) -> float:
        due = self._schedule.after(datetime.fromtimestamp(after, UTC)).timestamp()
        directory, settings = str(self._snapshots.directory), self._snapshots.settings
        zone, store = str(self._schedule.zone), settings.copied_to
        self._show(SnapshotSchedule(directory, settings.schedule, zone, due, store=store))
        return due

    async def _until(self, due: float) -> float:
        """Wait for `due`, or for what is due instead if the clock is set back meanwhile; returns that."""
        due = await wall.until(due, self._clock, self._now, self._earlier)
        if self._now() - due > LATE:
            log.warning(
                "The snapshot that was due at %s is taken only now: this machine slept, or its clock was set",
                self._shown(due),
            )
        return due

    def _earlier(self, due: float) -> float:
        """`due`, or what comes before it if the clock was set back; a period counts from its beginning."""
        if not self._schedule.fields or self._now() >= due:
            return due
        return min(due, self._next(self._now()))

    async def _look_back(self) -> None:
        """Tell of the last run if it was missed."""
        due = self._schedule.before(datetime.fromtimestamp(self._now(), UTC))
        if due is None:
            return
        last = await self._last()
        if max(self._began, last) < due.timestamp():
            words = (
                f"the snapshot that was due at {self._shown(due.timestamp())} was not taken: rke2 did not run"
            )
            log.warning("Missed: %s; `rke2 etcd-snapshot save` takes one now", words)
            self._tell(self.name, words)

    async def _last(self) -> float:
        """When the last scheduled snapshot was taken; 0 if there is none."""
        settings, node = self._snapshots.settings, self._snapshots.node
        try:
            listed = await self._snapshots.inventory()
        except RKE2Error:
            return 0.0
        own = [each.taken for each in listed if names.parse(each.name, settings.name, node)]
        return float(max(own, default=0))

    def _shown(self, moment: float) -> str:
        return datetime.fromtimestamp(moment, self._schedule.zone).isoformat(timespec="seconds")

    # --- what --------------------------------------------------------------------------------------
    async def _take(self) -> None:
        try:
            answer = await self._snapshots.save(self._snapshots.wish(s3=self._snapshots.settings.s3))
        except RKE2Error as error:
            log.error("Failed to take scheduled snapshot: %s", error)
            self._tell(self.name, f"the last scheduled snapshot failed: {error.message}")
        else:
            self._tell(self.name, "; ".join(answer.errors))
