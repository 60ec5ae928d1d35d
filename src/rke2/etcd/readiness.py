"""Whether this server's member can be relied on (supervisor reference §7.6).

A start as such defragments nothing: etcd does that itself before it serves, where it frees enough
(``bootstrap-defrag-threshold-megabytes``). Only a member that has run out of space is, before its alarm is taken back.
"""

from __future__ import annotations

from rke2.errors import EtcdError
from rke2.etcd.client import EtcdClient
from rke2.etcd.membership import Self
from rke2.etcd.messages import ALARM_NOSPACE, StatusResponse

LEARNER = "this server has not yet been promoted from learner to voting member"


async def member_problem(client: EtcdClient, endpoint: str, own: Self, *, maintenance: bool = False) -> str:
    """Why the member at `endpoint` cannot be relied on yet; empty if it is a healthy voter.

    Args:
        maintenance: also take back the NOSPACE alarm it raised, after defragmenting it: RKE2 does not, and the alarm
            is back at the next write. For the start only: the member serves nothing while it is defragmented.
    """
    try:
        status = await client.status(endpoint)
        # First: a learner, or a member without a leader, answers none of the questions that follow.
        if problem := _unusable(status):
            return problem
        if maintenance and (problem := await _maintain(client, endpoint, status.member_id)):
            return problem
        # Asked again: the errors of the first answer have the alarm that was taken back since.
        if errors := (await client.status(endpoint)).errors:
            return f"etcd cluster errors: {', '.join(errors)}"
        return await _not_listed(client, own)
    except EtcdError as error:
        return error.message


def _unusable(status: StatusResponse) -> str:
    if status.is_learner:
        return LEARNER
    return "" if status.leader else "etcdserver: no leader"


async def _maintain(client: EtcdClient, endpoint: str, member_id: int) -> str:
    for alarm in await client.alarms():
        # Older RKE2 took back the alarms of all members: those that
        # are still full went on writing, and CORRUPT was lost.
        if alarm.member_id != member_id or alarm.alarm != ALARM_NOSPACE:
            return f"etcd alarm must be cleared by the operator: {alarm}"
        # In this order: from the moment the alarm is gone the member takes writes, and serves no requests
        # while it is defragmented.
        await client.defragment(endpoint)
        await client.disarm(alarm)
    return ""


async def _not_listed(client: EtcdClient, own: Self) -> str:
    members = await client.members()
    if any(each.name == own.name and own.peer_url in each.peer_urls for each in members):
        return ""
    found = " ".join(f"{each.name}={each.peer_urls[0]}" for each in members if each.peer_urls)
    address = own.peer_url.removeprefix("https://").rpartition(":")[0].strip("[]")
    # "is a not a" is RKE2's wording, which people search for.
    return f"this server is a not a member of the etcd cluster. Found [{found}], expect: {own.name}={address}"
