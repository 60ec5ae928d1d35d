"""How a server becomes a member of an etcd that runs already (supervisor reference §7.4).

etcd allows one learner at a time. Servers that join together therefore queue: each asks again until the one before it
has been promoted (`rke2.etcd.upkeep` does that within a second of its being in step).

A server that lost its disk comes back with its name and address, while its old member still stands in the list. RKE2
leaves that to the operator. Here the old member is removed if that is safe: nothing answers at its address, and the
voters that do answer are a majority both before and after. Otherwise the error says what to do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from rke2.config.addresses import on_node
from rke2.config.model import NodeConfig
from rke2.errors import EtcdError, JoinError
from rke2.etcd import member_files
from rke2.etcd.client import EtcdClient
from rke2.etcd.members import node_of, quorum, voters
from rke2.etcd.messages import Member
from rke2.staticpods.etcd_config import PEER_PORT, InitialOptions

log = logging.getLogger(__name__)

ATTEMPT = 20.0
"""Seconds for one attempt."""
AGAIN = 1.0
"""Seconds between two attempts."""
PROBE = 2.0
"""Seconds in which a member that is up answers."""

Discover = Callable[[], Awaitable[Sequence[Member]]]
"""Asks the server to join for its member list (``GET /db/info``)."""
Connect = Callable[[Sequence[str]], EtcdClient]

_TRANSIENT = (
    # By their words: etcd's code for most of them,
    # FAILED_PRECONDITION, is also that of a peer URL that is taken.
    ("too many learner members", "another server to finish joining (etcd takes one at a time)"),
    ("unhealthy cluster", "the etcd cluster to settle: not all its members are connected"),
    ("not enough started members", "the etcd cluster to settle: a member has not started yet"),
)
"""Refusals that end by themselves, and what is waited for then."""


_REFUSED = (400, 401, 403, 404, 405)
"""HTTP answers that asking again does not change."""


@dataclass(frozen=True)
class Self:
    """This server as a member: `name` as in ``db/etcd/name``."""

    node: str
    name: str
    peer_url: str

    @classmethod
    def of(cls, config: NodeConfig, name: str) -> Self:
        return cls(config.node.name, name, f"https://{on_node(config, PEER_PORT)}")


class _NotYet(Exception):
    """The cluster cannot take us now; the message says what is waited for."""


async def join(
    config: NodeConfig,
    own: Self,
    discover: Discover,
    *,
    joined_host: str = "",
    connect: Connect | None = None,
    say: Callable[[str], None] = lambda reason: None,
) -> InitialOptions:
    """Have this server added to the cluster as a learner; call it only while there is no data on disk.

    Args:
        discover: the current member list from the server to join.
        joined_host: host of that server; its member is asked first.
        connect: makes the client; by default with this server's certificate.
        say: gets the reason while the cluster cannot take a member yet.

    Returns:
        What etcd must be started with.

    Raises:
        JoinError: the node name or address is another member's, or the server to join refuses to list the members.
        EtcdError: etcd refuses us for good.
    """
    while True:
        try:
            # Asked again for each attempt: meanwhile members come and go, and learners get their vote.
            endpoints = candidates(await _discovered(discover), own, joined_host)
            return await _attempt(
                config, own, endpoints, connect or (lambda urls: EtcdClient.of(config, urls))
            )
        except _NotYet as reason:
            say(str(reason))
        except TimeoutError:
            say("etcd to answer")
        await asyncio.sleep(AGAIN)


def candidates(members: Iterable[Member], own: Self, joined_host: str = "") -> list[str]:
    """Client URLs to ask: those of the joined server first; learners answer no such questions, nor do we."""
    usable = [each for each in voters(members) if own.peer_url not in each.peer_urls]
    urls = [url for member in usable for url in member.client_urls]
    return sorted(urls, key=lambda url: urlsplit(url).hostname != joined_host.strip("[]"))


async def _attempt(
    config: NodeConfig, own: Self, endpoints: Sequence[str], connect: Connect
) -> InitialOptions:
    if not endpoints:
        raise _NotYet("a voting etcd member that can be asked")
    async with asyncio.timeout(ATTEMPT), connect(endpoints) as client:
        # From etcd, as a majority has it: the list that the server to
        # join told may be older than an earlier attempt here.
        members = await _listed(client)
        # Before anything is added or removed: what is another node's
        # must not be touched, whatever is wrong here.
        _refuse_duplicate(config, own, members)
        present = next((each for each in members if own.peer_url in each.peer_urls), None)
        # A member at our address without a name is us, added by an attempt that was cut off: etcd refuses to
        # add it twice, so it is started as it is.
        if present and present.name:
            await _remove_lost(client, own, present, members)
            present = None
        if present is None:
            members = await _added(client, own)
    return InitialOptions(own.peer_url, initial_cluster(members, own), "existing")


async def _discovered(discover: Discover) -> Sequence[Member]:
    try:
        return await discover()
    except JoinError as error:
        if error.final or error.status in _REFUSED:
            raise
        raise _NotYet(f"the server to join to list the etcd members: {error.message}") from error


async def _listed(client: EtcdClient) -> tuple[Member, ...]:
    try:
        return await client.members()
    except EtcdError as error:
        # Whatever the reason, as in RKE2 (supervisor reference §7.4):
        # a question has changed nothing, so it can be repeated.
        raise _NotYet(f"the etcd member list: {error.message}") from error


async def _added(client: EtcdClient, own: Self) -> tuple[Member, ...]:
    try:
        member, members = await client.add_learner(own.peer_url)
    except EtcdError as error:
        raise _transient(error) from error
    log.info("etcd: added %s as learner %x", own.peer_url, member.id)
    return members


def _transient(error: EtcdError) -> Exception:
    """`_NotYet` for what ends by itself (a lost connection as well: the next look shows what became of it)."""
    for words, reason in _TRANSIENT:
        if words in error.message:
            return _NotYet(reason)
    return _NotYet(error.message) if error.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED") else error


def initial_cluster(members: Iterable[Member], own: Self) -> str:
    """``name=url,…`` of all members that have started, and of us."""
    others = [
        f"{each.name}={url}"
        for each in members
        if each.name and own.peer_url not in each.peer_urls
        for url in each.peer_urls
    ]
    return ",".join([*others, f"{own.name}={own.peer_url}"])


# --- our name or address is taken ------------------------------------------------------------------


def _refuse_duplicate(config: NodeConfig, own: Self, members: Iterable[Member]) -> None:
    for member in members:
        if node_of(member.name) == own.node and own.peer_url not in member.peer_urls:
            # As in RKE2: the file has the refused node's name in it, and
            # the next start has to make one for the new node-name.
            member_files.remove_name(config.paths)
            raise JoinError(
                "duplicate node name found, please use a unique name for this node",
                f"node {own.node} is etcd member {member.name} at {', '.join(member.peer_urls)}: set another"
                f" node-name, or if that server is gone for good run: kubectl delete node {own.node}",
                final=True,
            )


async def _remove_lost(client: EtcdClient, own: Self, old: Member, members: Sequence[Member]) -> None:
    """Remove the member that this server was before it lost its data.

    Raises:
        JoinError: it is another node's, or not certainly dead, or the cluster would not bear it.
    """
    if node_of(old.name) != own.node:
        raise JoinError(
            f"etcd member {old.name} has the address of this server, {own.peer_url}",
            f"give this server another address or its old node name {node_of(old.name)}, or if that server is gone"
            f" for good run: kubectl delete node {node_of(old.name)}",
            final=True,
        )
    if problem := await _unsafe(client, old, members):
        raise JoinError(
            "duplicate node name found, please use a unique name for this node",
            f"etcd member {old.name} at {own.peer_url} seems to be this server before it lost its data, but is not"
            f" removed because {problem}; to remove it, run on another server: kubectl delete node {own.node}",
            final=True,
        )
    try:
        await client.remove(old.id)
    except EtcdError as error:
        if error.code != "NOT_FOUND":
            raise _transient(error) from error
    # Said also if somebody else was faster: the old member is gone either way, and a new one takes its place.
    log.warning("etcd: removed member %s, whose data this server has lost", old.name)


async def _unsafe(client: EtcdClient, old: Member, members: Sequence[Member]) -> str:
    """Why `old` must not be removed; empty if it does not answer and those that do are majority enough."""
    if await _answers(client, old):
        return "it still answers"
    # It has no vote, so no majority depends on it.
    if old.is_learner:
        return ""
    voting = voters(members)
    rest = [each for each in voting if each.id != old.id]
    up = sum(await asyncio.gather(*(_answers(client, each) for each in rest)))
    # The old majority has to agree to the removal, and the new one has to go on by itself: of three, two that
    # answer are enough for both; of two, the one that is left is not.
    needed = max(quorum(len(voting)), quorum(len(rest)))
    return "" if up >= needed else f"only {up} of the {len(rest)} other voting members answer"


async def _answers(client: EtcdClient, member: Member) -> bool:
    for url in member.client_urls:
        try:
            answer = await client.status(url, timeout=PROBE)
        except EtcdError:
            continue
        # Another member may have this address by now: that one answering is no sign of life of the old one.
        if answer.member_id == member.id:
            return True
    return False
