"""The etcd cluster as the member of this node knows it.

Members are asked for at the peer listener: etcd serves ``/members`` there also while it is a learner or has no
quorum, when it refuses or does not answer ``member/list``. Leader, size and alarms come from ``maintenance/status``
on the local JSON gateway, which a learner answers too. Whether the others run is seen by connecting to their peer
ports (supervisor-api.md 2.5, 7; layout-and-components.md 3.3).
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from rke2.config.paths import Paths
from rke2.pki.tls import identity
from rke2.status.asking import FAILURES, ask

PEERS_URL = "https://127.0.0.1:2380"
GATEWAY_URL = "https://127.0.0.1:2382"
CONNECT_TIMEOUT = 1.0
"""Seconds another member has to accept a connection."""

Role = Literal["leader", "voter", "learner"]


@dataclass(frozen=True)
class MemberStatus:
    """A member of the cluster.

    Args:
        name: ``<node>-<8 hex>``; empty until it has started for the first time.
        own: the one on this node.
        answers: its peer port accepts connections.
    """

    name: str
    peer: str
    role: Role
    own: bool
    answers: bool

    @property
    def node(self) -> str:
        """Where it runs, as well as that is known."""
        return self.name.rpartition("-")[0] or urlsplit(self.peer).hostname or self.peer


@dataclass(frozen=True)
class EtcdStatus:
    """The cluster.

    Args:
        served: the member of this node answers its clients.
        has_leader: it knows a leader.
        size, quota: of the database on this node, in bytes.
        alarms: such as ``NOSPACE on server-0``.
    """

    members: tuple[MemberStatus, ...]
    served: bool = False
    has_leader: bool = False
    size: int = 0
    quota: int = 0
    alarms: tuple[str, ...] = ()

    @property
    def voters(self) -> list[MemberStatus]:
        return [member for member in self.members if member.role != "learner"]

    @property
    def silent(self) -> list[MemberStatus]:
        """Members that do not answer."""
        return [member for member in self.members if not member.answers]

    def trouble(self) -> str:
        """What keeps the cluster from working, and what to do; empty if nothing does."""
        silent = [member for member in self.voters if not member.answers]
        if not self.has_leader and silent and 2 * len(silent) >= len(self.voters):
            nodes = ", ".join(member.node for member in silent)
            return (
                f"{len(silent)} of {len(self.voters)} members do not answer: no quorum; start rke2 on {nodes}"
            )
        if not self.has_leader:
            return (
                "no leader yet" if self.served else "the member on this node does not serve its clients yet"
            )
        if any(member.own and member.role == "learner" for member in self.members):
            return "this member is a learner: it copies the data and becomes a voter when it has all of it"
        return "; ".join(f"alarm {alarm}: {_remedy(alarm)}" for alarm in self.alarms)


def _remedy(alarm: str) -> str:
    if alarm.startswith("NOSPACE"):
        return "the database is full; restart rke2 there, which defragments it"
    return "replace this member"


def look(paths: Paths, peers: str = PEERS_URL, gateway: str = GATEWAY_URL) -> EtcdStatus | None:
    """What the member of this node knows; None if there is none or it does not run."""
    try:
        name = (paths.etcd / "name").read_text().strip()
        members = _members(paths, peers)
    except (*FAILURES, ValueError):
        return None
    status, answering = _status(paths, gateway), _answering(members, name)
    return read(members, status, name, answering)


def _members(paths: Paths, url: str) -> list[dict[str, Any]]:
    tls = paths.tls / "etcd"
    context = identity(tls / "peer-ca.crt", tls / "peer-server-client")
    status, body = ask(f"{url}/members", context)
    if status != 200:
        raise ValueError(f"/members: HTTP {status}")
    members: list[dict[str, Any]] = json.loads(body)
    return members


def _status(paths: Paths, url: str) -> dict[str, Any]:
    """The member's status; empty if it does not serve its clients yet."""
    tls = paths.tls / "etcd"
    try:
        code, body = ask(
            f"{url}/v3/maintenance/status", identity(tls / "server-ca.crt", tls / "client"), "{}"
        )
        answer: dict[str, Any] = json.loads(body) if code == 200 else {}
    except (*FAILURES, ValueError):
        return {}
    return answer


def _answering(members: Sequence[Mapping[str, Any]], own: str) -> set[str]:
    """The peer URLs, other than of the own member, that accept connections."""
    urls = [_peer(member) for member in members if member.get("name") != own]
    with ThreadPoolExecutor(len(urls) or 1) as pool:
        return {url for url, answers in zip(urls, pool.map(_accepts, urls), strict=True) if answers}


def _accepts(url: str) -> bool:
    where = urlsplit(url)
    try:
        socket.create_connection((where.hostname, where.port), CONNECT_TIMEOUT).close()
    except OSError:
        return False
    return True


def _peer(member: Mapping[str, Any]) -> str:
    return str(next(iter(member.get("peerURLs", ())), ""))


def read(
    members: Sequence[Mapping[str, Any]], status: Mapping[str, Any], own: str, answering: set[str]
) -> EtcdStatus:
    """The cluster from etcd's answers.

    Args:
        members: as ``/members`` of a peer listener lists them; ids are numbers.
        status: answer of ``maintenance/status``, in which 64-bit numbers are strings; empty if there was none.
        own: name of the member of this node.
        answering: peer URLs of the other members that run.
    """
    leader = int(status.get("leader", 0))
    names = {int(member["id"]): str(member.get("name", "")) for member in members}
    found = (
        MemberStatus(
            name := str(member.get("name", "")),
            peer := _peer(member),
            _role(member, leader),
            name == own,
            name == own or peer in answering,
        )
        for member in members
    )
    return EtcdStatus(
        tuple(sorted(found, key=lambda member: member.name)),
        bool(status),
        leader != 0,
        int(status.get("dbSize", 0)),
        int(status.get("dbSizeQuota", 0)),
        tuple(_alarms(status.get("errors", ()), names)),
    )


def _role(member: Mapping[str, Any], leader: int) -> Role:
    if member.get("isLearner"):
        return "learner"
    return "leader" if int(member["id"]) == leader else "voter"


_ALARM = re.compile(r"(?:memberID:(\d+) )?alarm:(\w+)")


def _alarms(errors: Sequence[str], names: Mapping[int, str]) -> list[str]:
    """The alarms among the errors that a member's status lists (protobuf's text form)."""
    alarms = []
    for error in errors:
        if match := _ALARM.search(error):
            name = names.get(int(match[1] or 0), "")
            alarms.append(f"{match[2]} on {name.rpartition('-')[0]}" if name else match[2])
    return alarms
