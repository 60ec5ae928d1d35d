"""What follows from what is known: pure functions, which the tests kill at every point.

The one rule that all of them serve: the data of the leader is exchanged only when no other server can go on with the
old data, and no server starts with old data once there is a restored cluster that it can ask.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from rke2.recovery.state import MemberIdentity, OtherServer, Rejoin, Restore
from rke2.recovery.wire import Answer, Restored

AWAY_SECONDS = 15.0
"""So long a server must be silent on every port to count as away: one that only starts again is waited for."""

Part = Literal["leads", "rejoins", "usual"]


def part_of(restore: Restore | None, rejoin: Rejoin | None) -> Part:
    """What a start of rke2 is for.

    A server that leads goes on with it first: the others wait for it, and for nobody else.
    """
    if restore and restore.changes_data:
        return "leads"
    return "rejoins" if rejoin else "usual"


# --- the leader: may the data be exchanged? ---------------------------------------------------------------
@dataclass(frozen=True)
class ServerSeen:
    """One look at another server.

    Args:
        stopped: it says that its control plane has ended, and will not begin again by itself.
        refuses: why it will not stop; empty if it was not asked or does not refuse.
        etcd: whether its etcd takes connections.
        silent: seconds for which nothing there has answered.
    """

    stopped: bool = False
    refuses: str = ""
    etcd: bool = False
    silent: float = 0.0


@dataclass(frozen=True)
class Stopping:
    """The servers with what they are now, whom to ask (again), and what is waited for: empty if nothing."""

    servers: tuple[OtherServer, ...]
    ask: tuple[str, ...]
    waiting: str


def stopping(servers: Iterable[OtherServer], seen: Mapping[str, ServerSeen]) -> Stopping:
    """Whether all other servers have stopped.

    Args:
        seen: by name; who was not looked at yet is missing.
    """
    now = [_now(each, seen.get(each.name)) for each in servers]
    waiting = [(each, _why(seen.get(each.name))) for each in now if not each.state]
    reasons = "; ".join(f"{each.name}: {why}" for each, why in waiting)
    return Stopping(tuple(now), tuple(each.name for each in now if each.state != "stopped"), reasons)


def _now(server: OtherServer, seen: ServerSeen | None) -> OtherServer:
    """What a server is: a word that it has stopped is not taken back; that it is away is, by any sign of life."""
    if server.state == "stopped" or (seen and seen.stopped):
        return OtherServer(server.name, server.host, "stopped")
    if seen and not seen.etcd and not seen.refuses and seen.silent >= AWAY_SECONDS:
        return OtherServer(server.name, server.host, "away")
    return OtherServer(server.name, server.host)


def _why(seen: ServerSeen | None) -> str:
    if seen is None:
        return "not asked yet"
    if seen.refuses:
        return seen.refuses
    if seen.etcd:
        return "rke2 does not answer there, but its etcd runs: start rke2 on it, or run rke2-killall.sh there"
    return "no answer"


# --- the leader: is the cluster whole again? ----------------------------------------------------------------
def missing(servers: Iterable[OtherServer], voters: Collection[str], ready: Collection[str]) -> str:
    """What a restored cluster still lacks; empty if nothing. Servers that are away are not waited for.

    Args:
        voters: names of the nodes whose member votes.
        ready: names of the nodes that are Ready.
    """
    lacking = []
    for server in servers:
        if server.state == "away" and server.name not in voters:
            continue
        if server.name not in voters:
            lacking.append(f"{server.name} to join etcd again")
        elif server.name not in ready:
            lacking.append(f"node {server.name} to be Ready")
    return ", ".join(lacking)


# --- the others ---------------------------------------------------------------------------------------------
def refusal(own: MemberIdentity | None, rejoin: Rejoin, leads: Restore | None) -> str:
    """Why this server does not stop for that restore; empty if it does."""
    if own and rejoin.cluster and own.cluster != rejoin.cluster:
        return f"this server is a member of etcd cluster {own.cluster}, not of {rejoin.cluster}"
    if leads and leads.changes_data:
        return f"this server leads a restore itself, which began before: {leads.command}"
    return ""


def stale(own: MemberIdentity | None, answer: Answer) -> Restored | None:
    """The restore that has ended the cluster which this server's data is of; None if there was none.

    A cluster that was recovered without a snapshot has the id of the one before: there the member tells.
    """
    if own is None or not answer.members or own.member in answer.members:
        return None
    ended = [each for each in answer.restores if each.cluster == own.cluster]
    return ended[-1] if ended else None


def may_join(rejoin: Rejoin, answer: Answer) -> bool:
    """Whether the server that answers is of the restored cluster."""
    return any(each.id == rejoin.id for each in answer.restores)
