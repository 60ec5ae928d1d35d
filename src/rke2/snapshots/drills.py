"""Drills of this server's snapshots: by request, and of the newest one by ``etcd-snapshot-verify-schedule-cron``.

A backup is only one if it was restored once. A drill that was due while rke2 did not run is made up for: nothing is
lost by a later one, and a server that is off at each appointed time would never have any.
"""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rke2.config.schedule import parse_schedule
from rke2.errors import EtcdError, HostError, RKE2Error
from rke2.lifecycle.clock import CLOCK, Clock
from rke2.lifecycle.service import Up
from rke2.snapshots import record
from rke2.snapshots.bounds import Bounds
from rke2.snapshots.directory import SnapshotFile
from rke2.snapshots.drill import drill, empty
from rke2.snapshots.programs import copy_programs
from rke2.snapshots.record import DrillVerdict
from rke2.snapshots.request import SnapshotRequestError
from rke2.snapshots.taking import Snapshots
from rke2.snapshots.wall import until

log = logging.getLogger(__name__)

SPREAD = 600.0
"""Each scheduled drill waits up to as long first: the servers are not all busy at once."""
TROUBLE = "etcd snapshot drill"
FIRST = 900.0
"""Seconds after a start until a drill that was missed: first everything else has its turn."""

Programs = Callable[[Path], Awaitable[None]]


class Drills:
    """Proves snapshots.

    Args:
        programs: puts etcd and etcdutl into a directory; by default those of etcd's image.
    """

    name = "etcd snapshot drills"

    def __init__(
        self, snapshots: Snapshots, *, programs: Programs | None = None, bounds: Bounds | None = None
    ) -> None:
        self._snapshots = snapshots
        self._programs = programs or partial(copy_programs, snapshots.config)
        self._bounds = bounds or Bounds()
        self._going = asyncio.Lock()

    @property
    def snapshots(self) -> Snapshots:
        return self._snapshots

    async def verify(self, name: str = "", directory: str | None = None) -> DrillVerdict:
        """Try whether a snapshot restores, and keep the verdict beside it.

        Args:
            name: of the file; empty for the newest.

        Raises:
            SnapshotRequestError: there is no such snapshot, or the directory is not one of those that are configured.
            EtcdError: another drill is going on.
            HostError, ContentError: this host cannot do it, which says nothing of the snapshot.
        """
        if self._going.locked():
            raise EtcdError(
                "another snapshot is being verified", "try again when that is done", code="ABORTED"
            )
        async with self._going:
            return await self._verify(await self._find(name, directory))

    async def _find(self, name: str, directory: str | None) -> SnapshotFile:
        listed = await self._snapshots.inventory(directory)
        found = [each for each in listed if not name or each.name == name]
        if not found:
            what = f"snapshot {name}" if name else "snapshot"
            raise SnapshotRequestError(f"no {what} on this server", "see `rke2 etcd-snapshot ls`")
        return found[-1]

    async def _verify(self, snapshot: SnapshotFile) -> DrillVerdict:
        scratch = self._snapshots.paths.drill_scratch
        log.info("Verifying snapshot %s", snapshot.name)
        try:
            await asyncio.to_thread(empty, scratch)
            await self._programs(scratch / "bin")
            verdict = await drill(
                self._snapshots.config, snapshot, scratch / "bin", scratch / "work", self._bounds
            )
            await asyncio.to_thread(record.write_verdict, snapshot.path, verdict)
        except OSError as error:
            raise HostError.of(error, f"cannot verify {snapshot.name}") from error
        finally:
            await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
        _log(verdict)
        self._snapshots.verdicts.append((snapshot, verdict))
        self._snapshots.changed.set()
        return verdict


def _log(verdict: DrillVerdict) -> None:
    if verdict.failure:
        log.error("Snapshot %s does not restore: %s", verdict.name, verdict.failure)
    else:
        log.info("%s", verdict.proof)


class ScheduledDrills:
    """Verifies the newest snapshot at the appointed times.

    Args:
        show: gets the Unix time of the next one.
        tell: shows the operator a trouble, or with no words that it is over.
        now: Unix time.
    """

    name = Drills.name

    def __init__(
        self,
        drills: Drills,
        *,
        show: Callable[[float], None],
        tell: Callable[[str, str], None],
        clock: Clock = CLOCK,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._drills, self._show, self._tell = drills, show, tell
        self._clock, self._now = clock, now
        self._schedule = parse_schedule(drills.snapshots.settings.verify_schedule)

    async def run(self, up: Up) -> None:
        """Verify until cancelled; a drill that fails ends nothing."""
        up()
        due = await self._first()
        while True:
            self._show(due)
            await until(due, self._clock, self._now)
            await self._clock.sleep(random.uniform(0, SPREAD))
            await self._verify()
            due = self._after(max(self._now(), due))

    def _after(self, moment: float) -> float:
        return self._schedule.after(datetime.fromtimestamp(moment, UTC)).timestamp()

    async def _first(self) -> float:
        """Soon if the last one that was due was missed, with a snapshot there to be verified."""
        due = self._schedule.before(datetime.fromtimestamp(self._now(), UTC))
        if due is not None and await self._missed(due.timestamp()):
            return min(self._now() + FIRST, self._after(self._now()))
        return self._after(self._now())

    async def _missed(self, due: float) -> bool:
        try:
            listed = await self._drills.snapshots.inventory()
        except RKE2Error:
            return False
        last = max((each.verdict.at for each in listed if each.verdict), default=0)
        return last < due and any(each.taken < due for each in listed)

    async def _verify(self) -> None:
        try:
            verdict = await self._drills.verify()
        except SnapshotRequestError:  # there is no snapshot yet
            return
        except RKE2Error as error:
            log.error("The newest snapshot cannot be verified: %s", error)
            self._tell(TROUBLE, f"the newest snapshot could not be verified: {error.message}")
        else:
            failed = f"snapshot {verdict.name} does not restore: {verdict.failure}" if verdict.failure else ""
            self._tell(TROUBLE, failed)
