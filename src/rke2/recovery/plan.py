"""What a restore will do, before it does: looked at, refused if it cannot be, and said in words."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from rke2.config.paths import Paths
from rke2.errors import EtcdError, HostError, JoinError
from rke2.etcd.member_files import initialised
from rke2.recovery import peers, state
from rke2.recovery.state import OtherServer, Restore
from rke2.recovery.wire import Answer
from rke2.snapshots import receiving, record, restoring
from rke2.snapshots.names import suffix_of
from rke2.snapshots.record import Record
from rke2.snapshots.store import StoredSnapshot

_ID_BYTES = 6


@dataclass(frozen=True)
class Plan:
    """A restore with what is known before it.

    Args:
        record: what was written down beside the snapshot, if anything was.
        stored: where the snapshot is fetched from; None if it is on this server.
        own: what this server's process says; None if it does not run.
        answers: of the other servers, by name; who does not answer is missing.
    """

    restore: Restore
    record: Record | None
    taken: float
    own: Answer | None
    answers: Mapping[str, Answer] = field(default_factory=dict)
    stored: StoredSnapshot | None = None


async def make(paths: Paths, url: str, snapshot: Path | None, stored: StoredSnapshot | None = None) -> Plan:
    """Look at the snapshot, at this server and at the others; changes nothing.

    Args:
        url: of this server's own supervisor.
        snapshot: None to go on with the data of this server.
        stored: the snapshot in S3, which is at `snapshot` only when it was fetched.

    Raises:
        EtcdError: the snapshot is damaged; there is no data; or the etcd of a server runs that rke2 cannot stop.
        JoinError: the snapshot is of another token.
        HostError: a restore is going on already.
    """
    known = await asyncio.to_thread(_glance, paths, snapshot, stored)
    _refuse_second(paths)
    servers = peers.others(paths)
    own, *answers = await asyncio.gather(
        _asked(paths, url), *(_asked(paths, peers.url_of(each.host)) for each in servers)
    )
    found = {each.name: answer for each, answer in zip(servers, answers, strict=True) if answer}
    await _refuse_orphans([each for each in servers if each.name not in found])
    identity = state.read_identity(paths)
    cluster = (own.cluster if own else "") or (identity.cluster if identity else "")
    name = str(snapshot) if snapshot else ""
    restore = Restore(secrets.token_hex(_ID_BYTES), name, time.time(), cluster, servers)
    return Plan(restore, known, _taken(snapshot, known, stored), own, found, stored)


def _glance(paths: Paths, snapshot: Path | None, stored: StoredSnapshot | None) -> Record | None:
    """What can be seen of the snapshot without restoring it: token, and sum of one that is not compressed."""
    if snapshot is None:
        if not initialised(paths):
            raise EtcdError(
                f"there is no etcd data in {paths.etcd} to go on with", "run this on another server"
            )
        return None
    known = stored.about.record if stored else record.read_record(snapshot)
    restoring.require_token(snapshot, known, record.token_hash(paths.token.read_text().strip()))
    if not stored and not suffix_of(snapshot.name):
        restoring.require_same(snapshot, known, receiving.check_file(snapshot).sha256)
    return known


def _refuse_second(paths: Paths) -> None:
    before = state.read_restore(paths)
    if before and not before.over:
        raise HostError(
            f"a restore is going on, begun {_moment(before.began)}: {before.command}",
            "it goes on by itself while rke2 runs on this server; `rke2 status` shows where it is",
        )


async def _refuse_orphans(silent: Sequence[OtherServer]) -> None:
    """A server whose rke2 does not answer and whose etcd runs would go on with the old data, and nobody could stop it.

    Raises:
        EtcdError: there is one.
    """
    running = await asyncio.gather(*(peers.etcd_answers(each.host) for each in silent))
    for server, runs in zip(silent, running, strict=True):
        if runs:
            raise EtcdError(
                f"etcd runs on server {server.name}, and rke2 does not answer there",
                "start rke2 on it, or run rke2-killall.sh there; then run this again",
            )


async def _asked(paths: Paths, url: str) -> Answer | None:
    try:
        return await peers.ask(paths, url)
    except JoinError:
        return None


def _taken(snapshot: Path | None, known: Record | None, stored: StoredSnapshot | None) -> float:
    if snapshot is None:
        return 0.0
    if known:
        return known.taken
    return stored.taken if stored else snapshot.stat().st_mtime


# --- in words ---------------------------------------------------------------------------------------------
def as_text(plan: Plan, now: float) -> str:
    """The plan for who has to agree to it."""
    restore = plan.restore
    title = f"Restore of {restore.snapshot}" if restore.snapshot else "Recovery with the data of this server"
    if plan.stored:
        title = f"Restore of {plan.stored.location}"
    rows = [*_of_snapshot(plan, now), ("this server", "leads; its old data stays in server/db/etcd-old-*")]
    if not restore.snapshot:
        rows[-1] = ("this server", "leads; its data is the cluster's from now on")
    rows += [(each.name, _of_server(plan.answers.get(each.name))) for each in restore.servers]
    width = max(len(name) for name, _ in rows)
    lines = [title, *(f"  {name:{width}}  {words}" for name, words in rows)]
    saved = "A snapshot of the present state is taken first." if _answers(plan) else _NO_SNAPSHOT
    return "\n".join([*lines, saved, ""])


_NO_SNAPSHOT = "etcd does not answer here: no snapshot of the present state is taken."


def _answers(plan: Plan) -> bool:
    return bool(plan.own and plan.own.cluster)


def _of_snapshot(plan: Plan, now: float) -> list[tuple[str, str]]:
    if not plan.restore.snapshot:
        return [("lost", "what this server's etcd had not received yet")]
    known, where = plan.record, ""
    if known:
        where = f", on {known.node}, by rke2 {known.version}, revision {known.revision}"
    rows = [("taken", f"{_moment(plan.taken)}, {_age(now - plan.taken)} ago{where}")]
    lost = "everything that was changed since"
    if known and plan.own and plan.own.revision:
        lost += f": {max(0, plan.own.revision - known.revision)} revisions of etcd"
    if plan.stored:
        rows.append(("fetched", f"first, {plan.stored.size / (1 << 20):.1f} MiB, to {plan.restore.snapshot}"))
    return [*rows, ("lost", lost)]


def _of_server(answer: Answer | None) -> str:
    if answer:
        return "stops its control plane, and joins again with an empty member"
    return "does not answer; joins again by itself when it comes back"


def _moment(unix: float) -> str:
    return datetime.fromtimestamp(unix).astimezone().strftime("%Y-%m-%d %H:%M %Z")


def _age(seconds: float) -> str:
    minutes = max(0, int(seconds)) // 60
    hours, days = minutes // 60, minutes // 1440
    if days:
        return f"{days} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
