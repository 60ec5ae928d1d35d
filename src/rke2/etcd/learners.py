"""Learners become voters as soon as they are in step; one that stands still is removed (supervisor reference §7.5)."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rke2.errors import EtcdError
from rke2.etcd.client import EtcdClient
from rke2.etcd.messages import Member

log = logging.getLogger(__name__)

PROGRESS_KEY = "rke2/etcd/learnerProgress"
STALLED = timedelta(minutes=5)
PROBE = 5.0
"""Seconds a learner has to say how far it is."""

_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class LearnerProgress:
    """How far a learner was when it last got further; any leader may go on from it."""

    id: int
    name: str
    raft_applied_index: int
    last_progress: datetime

    def encode(self) -> bytes:
        return json.dumps(
            {
                "id": self.id,
                "name": self.name,
                "raftAppliedIndex": self.raft_applied_index,
                "lastProgress": self.last_progress.strftime(_TIME),
            },
            separators=(",", ":"),
        ).encode()

    @classmethod
    def decode(cls, value: bytes) -> LearnerProgress | None:
        """The record in `value`; None if it is unusable, which counts as none."""
        try:
            record = json.loads(value)
            moment = datetime.fromisoformat(record["lastProgress"])
            if moment.tzinfo is None:
                return None
            return cls(
                int(record["id"]), str(record.get("name", "")), int(record["raftAppliedIndex"]), moment
            )
        except (ValueError, TypeError, KeyError, OverflowError, AttributeError):
            return None


def advanced(record: LearnerProgress | None, learner: Member, index: int, now: datetime) -> LearnerProgress:
    """`record` after seeing `learner` at `index`; the same object if nothing has changed."""
    # One key is enough for all: etcd takes one learner at a time,
    # so the record of another one is an old attempt's.
    if record is None or record.id != learner.id:
        return LearnerProgress(learner.id, learner.name, index, now)
    if index > record.raft_applied_index:
        return LearnerProgress(learner.id, learner.name, index, now)
    return record


async def promote_learners(client: EtcdClient, local: str, members: Sequence[Member]) -> None:
    """Promote the learners among `members`, or note how far they are; does nothing unless the member at `local` leads.

    Raises:
        EtcdError: etcd does not answer; the next call goes on.
    """
    learners = [each for each in members if each.is_learner]
    if not learners:
        return
    status = await client.status(local)
    # All servers run this, and as in RKE2 the one whose member
    # leads acts for them: nobody else writes the record.
    if status.leader != status.member_id:
        return
    for learner in learners:
        await _promote(client, learner)


async def _promote(client: EtcdClient, learner: Member) -> None:
    try:
        await client.promote(learner.id)
    except EtcdError as error:
        # Not in sync, or not started yet: everything else would be said again at the next look, too.
        if error.code != "FAILED_PRECONDITION":
            raise
        await _track(client, learner)
        return
    log.info("etcd: promoted %s to voting member", learner.name or learner.peer_urls)


async def _track(client: EtcdClient, learner: Member) -> None:
    stored = await client.get(PROGRESS_KEY)
    record = LearnerProgress.decode(stored.value) if stored else None
    # In whole seconds, as the record keeps them, and of the wall
    # clock: the next leader, on another machine, goes on from it.
    now = datetime.now(UTC).replace(microsecond=0)
    current = advanced(record, learner, await _applied_index(client, learner), now)
    if current is not record:
        await client.put(PROGRESS_KEY, current.encode())
    elif now - current.last_progress > STALLED:
        # While it stands there no other server can join. Its own
        # server finds out (`rke2.etcd.removal`) and joins again.
        log.warning("etcd: removing learner %s, which got no further since %s", *_who(current))
        await client.remove(learner.id)


def _who(record: LearnerProgress) -> tuple[str, str]:
    return record.name or f"{record.id:x}", record.last_progress.strftime(_TIME)


async def _applied_index(client: EtcdClient, learner: Member) -> int:
    for url in learner.client_urls:
        try:
            return (await client.status(url, timeout=PROBE)).raft_applied_index
        except EtcdError:
            continue
    # One that does not answer gets no further: 0 is never more
    # than what was recorded, so it is given up in time, too.
    return 0
