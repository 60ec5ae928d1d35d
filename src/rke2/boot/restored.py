"""A server's boot while its cluster is restored: it joins again, finds out that it has to, or leads to the end.

The steps of the leader, up to the exchange of its data, are `rke2.boot.leading`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import msgspec

from rke2.boot.node import Node
from rke2.boot.process import StartAgain, start_again_when
from rke2.config.model import JoinSettings, NodeConfig, RejoinSettings, ResetSettings
from rke2.config.paths import Paths
from rke2.errors import EtcdError, JoinError, KubeError, RKE2Error
from rke2.etcd import member_files
from rke2.etcd.client import EtcdClient, local_endpoint
from rke2.etcd.members import node_of, voters
from rke2.join.as_server import join_token
from rke2.join.client import connect
from rke2.join.passwd import SERVER_USER
from rke2.join.reconcile import overwrite
from rke2.kube.client import Client
from rke2.kube.objects import Object, condition_is_true, name_of
from rke2.kube.resources import LEASES, NODES
from rke2.lifecycle.service import Policy
from rke2.lifecycle.waiting import until
from rke2.recovery import decide, peers, state
from rke2.recovery.recovery import Recovery
from rke2.recovery.state import MemberIdentity, OtherServer, Rejoin, Restore
from rke2.recovery.watch import look, look_until_answered, watch
from rke2.staticpods.removal import take_away

log = logging.getLogger(__name__)

RETRY = 1.0
ATTEMPTS = 10
LOOK = 1.0
_TROUBLE = "restore of the cluster"


def configured(config: NodeConfig) -> NodeConfig:
    """The configuration of this start: as it was read, or as the part in a restore has it.

    Who leads follows nobody, whatever ``server`` says: it would be given the keys and the members of before.
    """
    assert config.server
    restore, rejoin = state.read_restore(config.paths), state.read_rejoin(config.paths)
    part = decide.part_of(restore, rejoin)
    if part == "leads":
        assert restore
        path = Path(restore.snapshot) if restore.snapshot else None
        reset = ResetSettings(path, restore.id, restore.cluster)
        # The file is on this server: nothing is fetched from S3, and the snapshot before goes there with the next one.
        snapshots = replace(config.server.snapshots, s3=None)
        return replace(config, join=None, server=replace(config.server, reset=reset, snapshots=snapshots))
    if part == "rejoins":
        assert rejoin
        token = config.join.token if config.join else ""
        server = replace(config.server, rejoin=RejoinSettings(rejoin.id, rejoin.aside))
        return replace(config, join=JoinSettings(rejoin.leader, token), server=server)
    # Until the others are back: the server that this one once joined is waiting for it.
    return replace(config, join=None) if restore and restore.step == "restored" else config


def rejoins(config: NodeConfig) -> bool:
    """Whether this start has a former member to end, because the cluster was restored by another server."""
    return bool(config.server and config.server.rejoin and not config.server.rejoin.aside)


# --- every server with a member ---------------------------------------------------------------------------
def keep_recovery(node: Node) -> Recovery | None:
    """What the supervisor answers with, and the service that starts the process again when it is told to."""
    member = node.server.member
    if member is None:
        return None
    recovery = Recovery(node.config, member, partial(stop_control_plane, node))
    node.services.keep("restores of the cluster", partial(start_again_when, recovery.wanted), Policy.RESTART)
    return recovery


async def stop_control_plane(node: Node) -> None:
    """End the control plane's pods, also those of a former control plane whose process was killed before it could.

    The kubelet, if it runs, ends them, too: of two that remove one container, the runtime tells one that it failed.

    Raises:
        RKE2Error: the runtime fails again and again.
    """
    for _ in range(ATTEMPTS):
        try:
            await take_away(node.cri, node.config.paths)
        except RKE2Error as error:
            log.debug("%s", error)
            await asyncio.sleep(RETRY)
        else:
            return
    # Not caught any more: whoever has asked for the stop must not believe that it has happened.
    await take_away(node.cri, node.config.paths)


async def ask_first(node: Node) -> None:
    """Before anything of the control plane can run: has the cluster been restored while this server was away?

    Two servers that come back together have a majority of the old cluster, and would go on with it. Not for long: at a
    start of all servers nobody answers yet. A member that was removed is another matter: the others are there, and
    those of a restored cluster do not know it either. Taken for a removal only, its data would be joined as that of
    the same cluster, or the start refused.

    Raises:
        StartAgain: it has; the next attempt joins it.
    """
    config = node.config
    own = await asyncio.to_thread(state.read_identity, config.paths)
    if own is None or not member_files.initialised(config.paths) or _takes_part(config):
        return
    removed = member_files.tombstone_file(config.paths).exists()
    if found := await (look_until_answered if removed else look)(config, own):
        await _join_restored(node, found)


def _takes_part(config: NodeConfig) -> bool:
    return bool(config.server and config.server.rejoin)


async def _join_restored(node: Node, found: Rejoin) -> None:
    await asyncio.to_thread(state.write_rejoin, node.config.paths, found)
    # Only now: without it and without the word to join again the old data would be started once more.
    member_files.tombstone_file(node.config.paths).unlink(missing_ok=True)
    raise StartAgain(f"the cluster was restored elsewhere; joining it again at {found.leader}")


def watch_for(node: Node) -> None:
    """From now on ask whether the cluster was restored while this server was away."""

    async def work() -> None:
        async with EtcdClient.of(node.config) as client:
            found = await watch(node.config, client)
        await _join_restored(node, found)

    node.services.keep("restores elsewhere", work, Policy.RESTART)


async def joined(node: Node) -> None:
    """The member is healthy: remember which it is; a server that had to join again has done so."""
    paths, client = node.config.paths, node.server.etcd
    try:
        status = await client.status(local_endpoint(node.config))
    except EtcdError as error:
        # No reason to end a boot: the next start writes it down.
        log.warning("Which member this is was not written down: %s", error.message)
        return
    if status.header:
        own = MemberIdentity(f"{status.header.cluster_id:x}", f"{status.member_id:x}")
        # Before the word to join again goes: killed in between, this server
        # joins once more, which costs nothing.
        await asyncio.to_thread(state.write_identity, paths, own)
    if node.config.server and node.config.server.rejoin:
        state.rejoin_file(paths).unlink(missing_ok=True)
        log.info("This server is a member of the restored cluster")


# --- one that joins again ----------------------------------------------------------------------------------
async def take_keys(node: Node, restore_id: str) -> None:
    """Wait until the restored cluster is there, then write its keys over those on disk, of which a copy is made.

    Not compared by their age, as at other joins: what is newer here was changed after the snapshot, and went with it.
    """
    config = node.config
    assert config.join
    say = partial(node.waiting, "cluster")
    # That the leader answers is not enough: before its exchange it would hand out the keys of before.
    await until(partial(_not_restored, node, config.join.server_url, restore_id), interval=RETRY, say=say)
    supervisor = await connect(config.join.server_url, join_token(config), SERVER_USER)
    data = await supervisor.server_bootstrap()
    backup = await asyncio.to_thread(overwrite, data, config.paths.server)
    (config.paths.tls / "dynamic-cert.json").unlink(missing_ok=True)
    log.info("%s shares the keys of the restored cluster; those of before are in %s", supervisor.url, backup)


async def _not_restored(node: Node, url: str, restore_id: str) -> str:
    rejoin = state.Rejoin(restore_id, url)
    try:
        answer = await peers.ask(node.config.paths, url)
    except JoinError as error:
        return f"the cluster to be restored: {error.message}"
    return "" if decide.may_join(rejoin, answer) else f"the cluster to be restored by {url}"


async def leave(node: Node) -> None:
    """Move the former member's data away: the restored cluster is there."""
    await asyncio.to_thread(_move_away, node.config.paths)


def _move_away(paths: Paths) -> None:
    # Moved, never deleted: what was written after the snapshot is only in there.
    member_files.set_aside_former(paths)
    state.identity_file(paths).unlink(missing_ok=True)
    # Last: who is killed before this finds no data, and moves none.
    rejoin = state.read_rejoin(paths)
    if rejoin:
        state.write_rejoin(paths, msgspec.structs.replace(rejoin, aside=True))


# --- the one that leads, after its own data was exchanged -----------------------------------------------------
def lead_to_the_end(node: Node) -> None:
    """If this server leads a restore: wait for the others, then say that it is done."""
    restore = state.read_restore(node.config.paths)
    if restore and restore.step == "restored":
        node.services.once(_TROUBLE, partial(_lead, node, restore), Policy.RESTART)


async def _lead(node: Node, restore: Restore) -> None:
    async with node.supervisor() as client:
        await until(partial(_missing, node, restore, client), interval=LOOK, say=partial(_tell, node))
    node.progress.trouble(_TROUBLE, "")
    done = msgspec.structs.replace(restore, step="done", ended=time.time(), failure="", remedy="")
    await asyncio.to_thread(state.write_restore, node.config.paths, done)
    log.info("The cluster is restored, %.0f s after it began", done.ended - done.began)


def _tell(node: Node, reason: str) -> None:
    node.progress.trouble(_TROUBLE, f"waiting for {reason}")


def _renewed(lease: Object) -> float:
    try:
        return datetime.fromisoformat(lease["spec"]["renewTime"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return 0.0


async def _missing(node: Node, restore: Restore, client: Client) -> str:
    try:
        members = await node.server.etcd.members(linearizable=False)
        nodes = await client.list(NODES)
        # A Node is Ready in the snapshot, too, and stays so for a while: its kubelet has to have come since.
        leases = await client.list(LEASES, "kube-node-lease")
    except (EtcdError, KubeError) as error:
        return error.message
    alive = {name_of(each) for each in leases.items if _renewed(each) > restore.began}
    ready = {name_of(each) for each in nodes.items if condition_is_true(each, "Ready")} & alive
    everyone = (*restore.servers, OtherServer(node.config.node.name, ""))
    return decide.missing(everyone, {node_of(each.name) for each in voters(members)}, ready)
