"""The member list: its JSON between servers (supervisor reference §2.5), and what is read from it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from rke2.errors import JoinError
from rke2.etcd.messages import Member


def db_info(members: Iterable[Member]) -> bytes:
    """The body of ``GET /db/info``. Ids are numbers above 2^53 and stay exact; zero values are left out."""
    return json.dumps({"members": [_as_dict(each) for each in members]}, separators=(",", ":")).encode()


def _as_dict(member: Member) -> dict[str, Any]:
    everything = {
        "ID": member.id,
        "name": member.name,
        "peerURLs": list(member.peer_urls),
        "clientURLs": list(member.client_urls),
        "isLearner": member.is_learner,
    }
    return {key: value for key, value in everything.items() if value}


def parse_db_info(body: bytes | str) -> tuple[Member, ...]:
    """The members in the answer to ``GET /db/info``.

    Raises:
        JoinError: it is no member list.
    """
    try:
        listed = json.loads(body)["members"]
    except (ValueError, TypeError, KeyError) as error:
        raise _no_member_list(error) from error
    return parse_members(listed or ())


def parse_members(listed: Iterable[Any]) -> tuple[Member, ...]:
    """The members in the list of that answer.

    Raises:
        JoinError: it is no member list.
    """
    try:
        return tuple(map(_member, listed))
    except (ValueError, TypeError, AttributeError) as error:
        raise _no_member_list(error) from error


def _no_member_list(error: Exception) -> JoinError:
    return JoinError(f"/db/info: the answer is not a list of etcd members: {error!r}")


def _member(document: dict[str, Any]) -> Member:
    member_id = document.get("ID", 0)
    if not isinstance(member_id, int) or not 0 <= member_id < 2**64:
        raise ValueError(f"member id {member_id!r}")
    return Member(
        member_id,
        str(document.get("name") or ""),
        _urls(document.get("peerURLs")),
        _urls(document.get("clientURLs")),
        bool(document.get("isLearner")),
    )


def _urls(value: Any) -> tuple[str, ...]:
    if value is not None and not isinstance(value, list):
        raise ValueError(f"URLs {value!r}")
    return tuple(map(str, value or ()))


def node_of(name: str) -> str:
    """The node whose member is called `name`: the name without its last ``-<suffix>``."""
    return name.rpartition("-")[0]


def voters(members: Iterable[Member]) -> tuple[Member, ...]:
    """The members that have a vote."""
    return tuple(each for each in members if not each.is_learner)


def quorum(count: int) -> int:
    """How many of `count` voters must agree."""
    return count // 2 + 1
