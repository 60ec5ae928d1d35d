"""etcd as this server's boot sees it: a member of its own, or those of other servers; and the cluster's keys in it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from urllib.parse import urlsplit

from rke2.boot import control_plane, former_etcd, membership, restored, static_pods
from rke2.boot.node import Node
from rke2.boot.process import StartAgain
from rke2.config.model import NodeConfig
from rke2.errors import EtcdError
from rke2.etcd import member_files
from rke2.etcd.client import EtcdClient, local_endpoint
from rke2.etcd.health import member_health
from rke2.etcd.members import parse_members
from rke2.etcd.membership import Self, join
from rke2.etcd.messages import Member
from rke2.etcd.readiness import member_problem
from rke2.etcd.removal import leave, mark_if_removed
from rke2.etcd.upkeep import Upkeep
from rke2.join.bootstrap import BootstrapData
from rke2.join.client import Supervisor
from rke2.join.credentials import ensure_etcd_name
from rke2.join.reconcile import reconcile
from rke2.join.store import BootstrapStore
from rke2.lifecycle.liveness import Watched
from rke2.lifecycle.progress import SnapshotSchedule
from rke2.lifecycle.service import Policy
from rke2.lifecycle.waiting import until
from rke2.snapshots.drills import ScheduledDrills
from rke2.snapshots.scheduled import ScheduledSnapshots
from rke2.staticpods import etcd_config
from rke2.staticpods.etcd_config import InitialOptions

log = logging.getLogger(__name__)

REMOTE = "remote etcd"
"""Name of the phase of a server that has none of its own."""

POLL = 0.1
"""Seconds between two questions to a member that is coming up."""
REMOVAL_CHECK = 10.0


async def etcd(node: Node) -> None:
    """Have this server's member run as a healthy voter, joined to those of the cluster if there is one."""
    config = node.config
    own = Self.of(config, ensure_etcd_name(config))
    # Before the member starts: if the cluster was restored elsewhere, it will never become healthy.
    restored.watch_for(node)
    initial = await _initial_options(node, own)
    await static_pods.show(node, "etcd", static_pods.etcd(config, own, initial))

    say, client, local = partial(node.waiting, "etcd"), node.server.etcd, local_endpoint(config)
    async with asyncio.TaskGroup() as waiting:
        out = waiting.create_task(_end_if_removed(config, own))
        await control_plane.settled(node, "etcd", partial(member_health, config))
        # The search for a removed member never ends by itself, and the group would wait for it.
        out.cancel()
    await until(lambda: member_problem(client, local, own, maintenance=True), interval=POLL * 5, say=say)
    # Only when the member votes: a server that is killed before this joins the restored cluster once more.
    await restored.joined(node)
    upkeep = Upkeep(config, own, client, partial(EtcdClient.of, config), local)
    node.services.once("etcd upkeep", upkeep.run, Policy.RESTART)
    node.services.once("record of etcd", partial(former_etcd.note, node), Policy.RESTART)
    _schedule_snapshots(node)


def _schedule_snapshots(node: Node) -> None:
    """From now on take snapshots by the schedule, unless they are switched off."""
    snapshots = node.server.snapshots
    assert snapshots is not None, "this server has a member of its own"
    if snapshots.settings.disabled:
        log.info("ETCD snapshots are disabled")
        store = snapshots.settings.copied_to
        node.progress.snapshots(SnapshotSchedule(str(snapshots.directory), store=store))
        return
    # Written once per member, before its first start: snapshots that were due earlier were not missed.
    began = member_files.name_file(node.config.paths).stat().st_mtime
    scheduled = ScheduledSnapshots(
        snapshots, began=began, show=node.progress.snapshots, tell=node.progress.trouble
    )
    node.services.begin(scheduled, Policy.RESTART)
    _schedule_drills(node)


def _schedule_drills(node: Node) -> None:
    drills = node.server.drills
    assert drills is not None, "this server has a member of its own"
    if not drills.snapshots.settings.verify_schedule:
        return
    scheduled = ScheduledDrills(drills, show=node.progress.next_drill, tell=node.progress.trouble)
    node.services.begin(scheduled, Policy.RESTART)


async def _end_if_removed(config: NodeConfig, own: Self) -> None:
    """While the member does not come up: see whether it was removed while this server was down.

    Raises:
        StartAgain: it was; the next attempt joins again, or says that there is nowhere to join.
    """
    while True:
        await asyncio.sleep(REMOVAL_CHECK)
        if await mark_if_removed(config.paths, own, partial(EtcdClient.of, config)):
            raise StartAgain("this server's etcd member was removed while it was down")


async def _initial_options(node: Node, own: Self) -> InitialOptions:
    """What the member is started with: as before, as one more of a cluster, or as the first."""
    config = node.config
    if not member_files.initialised(config.paths) and config.join:
        host = urlsplit(config.join.server_url).hostname or ""
        discover = partial(_members_elsewhere, node)
        return await join(config, own, discover, joined_host=host, say=partial(node.waiting, "etcd"))
    return static_pods.earlier_options(config, own) or etcd_config.single_member(config, own.name)


async def _members_elsewhere(node: Node) -> Sequence[Member]:
    """The members as the server to join lists them."""
    return await _list_members(await membership.until_connected(node, "etcd"))


async def _list_members(supervisor: Supervisor) -> Sequence[Member]:
    return parse_members(await supervisor.etcd_members())


async def remote(node: Node) -> None:
    """On a server without a member: have those of other servers answer on this one's loopback."""
    config, say = node.config, partial(node.waiting, REMOTE)
    known = await membership.until_told(node, REMOTE, _list_members)
    own = Self.of(config, "")
    await leave(config.paths, own, known, lambda urls: EtcdClient.of(config, urls))
    members = node.server.members_elsewhere
    assert members is not None, "this server has a member of its own"
    await members.start(known)
    node.services.at_the_end("etcd load balancer", members.close)
    node.liveness.watch(Watched(members.name, members.answers, members.reopen))
    node.services.keep("etcd members", partial(members.follow, node.server.etcd), Policy.RESTART)

    async def missing() -> str:
        try:
            await node.server.etcd.members()
        except EtcdError as error:
            return error.message
        return ""

    await until(missing, interval=1.0, say=say)


async def bootstrap_data(node: Node) -> None:
    """Keep the cluster's keys in etcd, for servers that join; and take over what changed there while we were down.

    Raises:
        StartAgain: other keys were written to disk.
        JoinError: the data in etcd is another token's, or files on disk are newer.
    """
    paths = node.config.paths
    store = BootstrapStore(node.server.etcd, (await asyncio.to_thread(paths.token.read_text)).strip())
    while True:
        try:
            stored = await store.load()
            if stored is None:
                # Overwrites nothing: if another server was faster, its data stays
                # and the next start compares it.
                await store.save(await asyncio.to_thread(BootstrapData.read, paths.server))
                return
            break
        except EtcdError as error:
            node.waiting("bootstrap data", error.message)
        await asyncio.sleep(1.0)
    changed = await asyncio.to_thread(reconcile, stored, paths.server)
    if changed:
        raise StartAgain(f"the cluster's keys have changed: {', '.join(path.name for path in changed)}")
