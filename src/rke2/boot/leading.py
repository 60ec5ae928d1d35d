"""The steps of the server that leads a restore, up to the exchange of its data: the plan is `rke2.boot.plans.restore`.

Until the other servers are told, nothing has changed, and whatever goes wrong ends the restore: the process starts as
usual, with the reason kept for who asked. From then on there is only one way, forward: an error ends the process, and
the next start goes on from the step that was written down.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from rke2.boot import reset
from rke2.boot.node import Node
from rke2.boot.process import StartAgain
from rke2.config.addresses import on_node
from rke2.config.model import SUPERVISOR_PORT
from rke2.errors import EtcdError, HostError, JoinError, RKE2Error, explained
from rke2.etcd import member_files
from rke2.lifecycle.service import NodeEnds
from rke2.recovery import decide, peers, state
from rke2.recovery.decide import ServerSeen
from rke2.recovery.state import OtherServer, Rejoin, Restore
from rke2.snapshots import resetting, restoring

log = logging.getLogger(__name__)

Step = Callable[[Node], Awaitable[None]]

SAVED = "before-restore"
"""Base name of the snapshots of the state before."""
LOOK = 1.0
_PHASE = "other servers"


def before(step: Step) -> Step:
    """`step` as one that ends the restore if it fails: nothing has changed yet."""

    async def tried(node: Node) -> None:
        try:
            await step(node)
        except NodeEnds:
            raise
        # Whatever else it is: a restore that stays planned is begun again by every start.
        except Exception as error:
            # Others may have stopped already: from here a restore goes on, and the error ends the process.
            if _state(node).step != "planned":
                raise
            _give_up(node, explained(error))
            raise StartAgain("the restore was given up; everything is as it was") from error

    return tried


def _give_up(node: Node, error: RKE2Error) -> None:
    log.error("The restore is given up, nothing was changed: %s", error)
    paths = node.config.paths
    # First: on a full disk this makes the room for the reason.
    resetting.remove_scratch(paths)
    failed = {"step": "failed", "ended": time.time(), "failure": error.message, "remedy": error.remedy}
    try:
        _update(node, **failed)
    except OSError:
        # A full disk cannot hold the reason, and a restore that is begun again and again helps nobody.
        state.restore_file(paths).unlink(missing_ok=True)


# --- before anything is changed ----------------------------------------------------------------------------
async def check(node: Node) -> None:
    """See whether it can be done at all.

    Raises:
        EtcdError: there is no such snapshot, or no data to go on with.
    """
    await asyncio.to_thread(_check, node)


def _check(node: Node) -> None:
    paths, restore = node.config.paths, _state(node)
    source = reset.find_snapshot(node) if restore.snapshot else None
    if source is None and not member_files.initialised(paths):
        raise EtcdError(f"there is no etcd data in {paths.etcd} to go on with", "restore a snapshot")
    scratch = resetting.fresh_scratch(paths)
    if source is not None:
        restoring.require_room(source, scratch, restoring.PROGRAMS)


async def present_state(node: Node) -> None:
    """Take a snapshot of what is there, from the member that still runs; without one the data itself is kept aside.

    Raises:
        HostError: there is no room for it.
    """
    snapshots, restore = node.server.snapshots, _state(node)
    assert snapshots is not None, "a restore needs a member"
    # Not once more after a kill: the member may hold the restored data,
    # which would pass for the state before.
    if restore.saved or restore.step == "changing":
        return
    try:
        answer = await snapshots.save(snapshots.wish(SAVED))
    except EtcdError as error:
        log.warning("No snapshot of the present state, its data stays in etcd-old-*: %s", error.message)
        return
    if answer.created:
        _update(node, saved=answer.created[0])


# --- the other servers ----------------------------------------------------------------------------------------
async def other_servers(node: Node) -> None:
    """Have every other server end its control plane; return when none can go on with the old data."""
    # Before the first is told: who is killed now must not give up what others have stopped for.
    _update(node, step="stopping", failure="", remedy="")
    seen: dict[str, ServerSeen] = {}
    since: dict[str, float] = {}
    while True:
        restore = _state(node)
        decision = decide.stopping(restore.servers, seen)
        # Written before it counts: after a kill, a server that has stopped is not asked to prove it again.
        if decision.servers != restore.servers:
            _update(node, servers=decision.servers)
        if not decision.waiting:
            break
        node.waiting(_PHASE, decision.waiting)
        asked = [each for each in decision.servers if each.name in decision.ask]
        # All at once: a server that is away costs seconds, in which the others would go on.
        looks = await asyncio.gather(*(_look(node, restore, each, since) for each in asked))
        seen |= {each.name: look for each, look in zip(asked, looks, strict=True)}
        if not all(look.stopped for look in looks):
            await asyncio.sleep(LOOK)
    _update(node, step="changing")


async def _look(node: Node, restore: Restore, server: OtherServer, since: dict[str, float]) -> ServerSeen:
    """Tell a server to stop, and see what it does; `since` has when its silence began."""
    rejoin = Rejoin(restore.id, f"https://{on_node(node.config, SUPERVISOR_PORT)}", restore.cluster)
    try:
        await peers.tell_to_stop(node.config.paths, peers.url_of(server.host), rejoin)
    except JoinError as error:
        # It answers, if only to refuse: so it is not away, and its silence starts again.
        if error.status or error.final:
            since.pop(server.name, None)
            return ServerSeen(refuses=error.message)
        etcd = await peers.etcd_answers(server.host)
        now = time.monotonic()
        silent = 0.0 if etcd else now - since.setdefault(server.name, now)
        return ServerSeen(etcd=etcd, silent=silent)
    log.info("%s has stopped its control plane", server.name)
    return ServerSeen(stopped=True)


# --- the changes ------------------------------------------------------------------------------------------------
async def finish(node: Node) -> None:
    """The own data is exchanged: start as usual, and wait for the others there."""
    # The flag first: who is killed in between exchanges the data once more, and none is lost by that.
    await asyncio.to_thread(resetting.finish, node.config.paths)
    # It names the member of before: by it, the others' word would make this server join its own cluster.
    state.identity_file(node.config.paths).unlink(missing_ok=True)
    _update(node, step="restored")
    raise StartAgain("this server is restored; it starts as the first one of the cluster")


def _state(node: Node) -> Restore:
    found = state.read_restore(node.config.paths)
    if found is None:
        raise HostError(
            f"{state.restore_file(node.config.paths)} is gone or cannot be read", "run the restore again"
        )
    return found


def _update(node: Node, **changes: Any) -> None:
    state.write_restore(node.config.paths, msgspec.structs.replace(_state(node), **changes))
