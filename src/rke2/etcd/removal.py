"""Leaving a cluster, and finding out that one was made to leave (supervisor reference §7.7).

A removed etcd ends with "the member has been permanently removed from the cluster", and does so again at each start. In
a static pod nobody sees that. What can be asked are the others: if a majority agrees on a member list without us, we
are out. Silence of the others says nothing. Where the reference leaves a choice: the tombstone for a static pod is
written by rke2, when it finds this out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rke2.config.paths import Paths
from rke2.errors import EtcdError
from rke2.etcd import member_files
from rke2.etcd.client import EtcdClient
from rke2.etcd.membership import Self, candidates
from rke2.etcd.messages import Member

log = logging.getLogger(__name__)

TIMEOUT = 5.0
LEAVE = 60.0
"""Seconds a server that gives up etcd tries to be removed."""


async def removed_from_cluster(
    own: Self, known: Sequence[Member], connect: Callable[[Sequence[str]], EtcdClient]
) -> bool:
    """Whether the cluster goes on without us; ask only while our own member does not answer.

    Args:
        known: the members as last seen (`member_files.remembered_members`, or the supervisor's list).
        connect: makes a client for client URLs.
    """
    endpoints = candidates(known, own)
    if not endpoints:
        return False
    async with connect(endpoints) as client:
        try:
            # As a majority has it (linearizable): a member that is cut off goes on listing whom it knew.
            members = await client.members(timeout=TIMEOUT)
        except EtcdError:
            return False
    # An unnamed member at our address is us, added and not started yet.
    return not any(each.name == own.name or own.peer_url in each.peer_urls for each in members)


async def mark_if_removed(paths: Paths, own: Self, connect: Callable[[Sequence[str]], EtcdClient]) -> bool:
    """Write the tombstone if the others say that we are out; True if so."""
    if not await removed_from_cluster(own, member_files.remembered_members(paths), connect):
        return False
    member_files.write_tombstone(paths)
    return True


async def leave(
    paths: Paths, own: Self, known: Sequence[Member], connect: Callable[[Sequence[str]], EtcdClient]
) -> Path | None:
    """On a former member that now starts with etcd disabled: remove it from the cluster, put its data aside.

    The data is put aside only when the cluster knows: it goes on counting on the member otherwise.

    Raises:
        EtcdError: the cluster cannot be reached or refuses, within a minute.
    """
    # Never a member, or an earlier start was killed behind the move: nothing is left to do.
    if not member_files.initialised(paths):
        return None
    endpoints = candidates(known, own)
    if not endpoints:
        raise EtcdError(
            "this server is the only etcd member and cannot run without etcd", "start it without disable-etcd"
        )
    async with connect(endpoints) as client:
        await _until_removed(client, own)
    return member_files.set_aside_former(paths)


async def _until_removed(client: EtcdClient, own: Self) -> None:
    end = time.monotonic() + LEAVE
    while True:
        try:
            return await _remove(client, own)
        except EtcdError as error:
            # Such as "unhealthy cluster", until all members have been connected for five seconds.
            if error.code not in ("UNAVAILABLE", "DEADLINE_EXCEEDED") or time.monotonic() > end:
                raise
        await asyncio.sleep(1)


async def _remove(client: EtcdClient, own: Self) -> None:
    member = next((each for each in await client.members() if each.name == own.name), None)
    # Removed by an operator, or by a start that was killed before it moved the data.
    if member is None:
        return
    try:
        await client.remove(member.id)
    except EtcdError as error:
        if error.code != "NOT_FOUND":
            raise
    log.info("etcd: removed member %s, this server runs no etcd any more", member.name)
