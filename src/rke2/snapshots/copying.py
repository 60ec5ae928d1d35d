"""What a server does with its snapshots in S3 after it has done it on its own disk.

Nothing here fails what was done there: a snapshot whose copy failed is a snapshot. The trouble is told in the answer,
in the log and on an ETCDSnapshotFile.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from rke2.config.model import S3Settings
from rke2.errors import RKE2Error, explained
from rke2.snapshots import names
from rke2.snapshots.failures import Failed
from rke2.snapshots.metrics import Durations
from rke2.snapshots.request import SnapshotAnswer
from rke2.snapshots.store import Store, StoredSnapshot, name_in

log = logging.getLogger(__name__)


class Copies:
    """The S3 part of saving, pruning and removing.

    Attributes:
        made: copies that the cluster is to be told of; who tells it takes them out.
        removed: likewise the locations of those that are gone.
        failed: likewise those that failed.
        retention_failures: likewise, why old ones could not be removed.
    """

    def __init__(self, store: Store, durations: Durations) -> None:
        self.store, self._durations = store, durations
        self.made: deque[StoredSnapshot] = deque(maxlen=20)
        self.removed: deque[str] = deque(maxlen=1000)
        self.failed: deque[Failed] = deque(maxlen=20)
        self.retention_failures: deque[str] = deque(maxlen=20)

    async def after_save(self, settings: S3Settings, path: Path, base: str) -> SnapshotAnswer:
        """Copy a new snapshot, then apply the retention, also if the copy failed."""
        log.info("Saving etcd snapshot %s to S3", path.name)
        copied = await self._copy(settings, path)
        fresh = path.name if copied.created else ""
        retained = await self.retain(settings, base, fresh)
        # A store that takes no copy removes nothing, either: who asked is told of the cause once, the log of both.
        return copied.and_then(SnapshotAnswer(deleted=retained.deleted) if copied.errors else retained)

    async def _copy(self, settings: S3Settings, path: Path) -> SnapshotAnswer:
        try:
            with self._durations.save_s3.timed():
                self.made.append(await self.store.upload(settings, path))
        except (RKE2Error, OSError) as error:
            fault = explained(error, f"cannot copy {path.name} to S3")
            log.error("Error received during snapshot upload to S3: %s", fault)
            taken = names.time_in(path.name) or 0
            if not settings.is_default:  # of a Secret that cannot be read there is no store to name
                self.failed.append(Failed(path.name, taken, fault.message, settings))
            return SnapshotAnswer(errors=[f"{path} is saved, but is not in S3: {fault}"])
        return SnapshotAnswer([path.name])

    async def retain(self, settings: S3Settings, base: str, fresh: str = "") -> SnapshotAnswer:
        """Remove what the retention in S3 does not keep."""
        try:
            return self._removed(await self.store.retain(settings, base, fresh))
        except RKE2Error as error:
            log.error("Failed to apply S3 snapshot retention policy: %s", error)
            self.retention_failures.append(str(error))
            return SnapshotAnswer(errors=[f"old snapshots in S3 were not removed: {error}"])

    async def delete(self, settings: S3Settings, wanted: Sequence[str]) -> SnapshotAnswer:
        """Remove the snapshots that are called so."""
        try:
            return self._removed(await self.store.delete(settings, wanted))
        except RKE2Error as error:
            log.error("Failed to delete snapshots from S3: %s", error)
            return SnapshotAnswer(errors=[f"nothing was removed in S3: {error}"])

    def _removed(self, locations: Sequence[str]) -> SnapshotAnswer:
        self.removed.extend(locations)
        return SnapshotAnswer(deleted=[name_in(each) for each in locations])
