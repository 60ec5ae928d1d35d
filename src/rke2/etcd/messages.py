"""The messages of etcd's v3 API that are used here, with the field numbers of ``etcdserverpb`` and ``mvccpb``.

Fields nobody reads are left out; the codec skips them.
"""

# ruff: noqa: RUF009 (the calls in the classes declare fields)

from __future__ import annotations

from dataclasses import dataclass

from rke2.etcd.protobuf import boolean, integer, message, octets, text, uint

ALARM_NONE, ALARM_NOSPACE, ALARM_CORRUPT = 0, 1, 2
"""``AlarmType``; `ALARM_NONE` in a request asks for all."""
ALARM_NAMES = {ALARM_NOSPACE: "NOSPACE", ALARM_CORRUPT: "CORRUPT"}
ALARM_GET, ALARM_ACTIVATE, ALARM_DEACTIVATE = 0, 1, 2
"""``AlarmAction``."""
DESCEND = 2
"""``SortOrder``; the target is the key, which is 0."""
TARGET_MOD = 2
"""``CompareTarget``: the revision of a key's last change. The comparison itself is EQUAL, which is 0."""


@dataclass(frozen=True)
class Header:
    cluster_id: int = uint(1)
    member_id: int = uint(2)
    revision: int = integer(3)
    raft_term: int = uint(4)


# --- members ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Member:
    """A member; its name and client URLs are empty until it has started once."""

    id: int = uint(1)
    name: str = text(2)
    peer_urls: tuple[str, ...] = text(3, repeated=True)
    client_urls: tuple[str, ...] = text(4, repeated=True)
    is_learner: bool = boolean(5)


@dataclass(frozen=True)
class MemberAddRequest:
    peer_urls: tuple[str, ...] = text(1, repeated=True)
    is_learner: bool = boolean(2)


@dataclass(frozen=True)
class MemberAddResponse:
    header: Header | None = message(1, Header)
    member: Member | None = message(2, Member)
    members: tuple[Member, ...] = message(3, Member, repeated=True)


@dataclass(frozen=True)
class MemberIDRequest:
    """``MemberRemoveRequest`` and ``MemberPromoteRequest``."""

    id: int = uint(1)


@dataclass(frozen=True)
class MemberUpdateRequest:
    id: int = uint(1)
    peer_urls: tuple[str, ...] = text(2, repeated=True)


@dataclass(frozen=True)
class MemberListRequest:
    linearizable: bool = boolean(1)


@dataclass(frozen=True)
class MembersResponse:
    """The answer to list, remove, promote and update: the members afterwards."""

    header: Header | None = message(1, Header)
    members: tuple[Member, ...] = message(2, Member, repeated=True)


# --- maintenance -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Empty:
    """``StatusRequest``, ``DefragmentRequest``, and answers of which nothing is read."""


@dataclass(frozen=True)
class StatusResponse:
    header: Header | None = message(1, Header)
    version: str = text(2)
    db_size: int = integer(3)
    leader: int = uint(4)
    raft_index: int = uint(5)
    raft_term: int = uint(6)
    raft_applied_index: int = uint(7)
    errors: tuple[str, ...] = text(8, repeated=True)
    is_learner: bool = boolean(10)
    storage_version: str = text(11)
    """Of the data, such as ``3.6.0``; empty before etcd 3.6."""

    @property
    def member_id(self) -> int:
        """The member that answered."""
        return self.header.member_id if self.header else 0


@dataclass(frozen=True)
class SnapshotResponse:
    """A part of a snapshot: the database, then in the last parts its SHA-256 (32 bytes)."""

    header: Header | None = message(1, Header)
    remaining_bytes: int = uint(2)
    blob: bytes = octets(3)
    version: str = text(4)


@dataclass(frozen=True)
class AlarmRequest:
    action: int = integer(1)
    member_id: int = uint(2)
    alarm: int = integer(3)


@dataclass(frozen=True)
class Alarm:
    """An alarm a member has raised (``AlarmMember``)."""

    member_id: int = uint(1)
    alarm: int = integer(2)

    def __str__(self) -> str:
        return f"{ALARM_NAMES.get(self.alarm, self.alarm)} of member {self.member_id:x}"


@dataclass(frozen=True)
class AlarmResponse:
    header: Header | None = message(1, Header)
    alarms: tuple[Alarm, ...] = message(2, Alarm, repeated=True)


DOWNGRADE_VALIDATE, DOWNGRADE_ENABLE, DOWNGRADE_CANCEL = 0, 1, 2
"""``DowngradeAction``."""


@dataclass(frozen=True)
class DowngradeRequest:
    """`version` is a minor version, such as ``3.6``."""

    action: int = integer(1)
    version: str = text(2)


# --- keys ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KeyValue:
    key: bytes = octets(1)
    create_revision: int = integer(2)
    mod_revision: int = integer(3)
    version: int = integer(4)
    value: bytes = octets(5)
    lease: int = integer(6)


@dataclass(frozen=True)
class RangeRequest:
    """``range_end`` empty: one key; a member that is a learner answers only `serializable` ones.

    `limit` 0: all; `revision` 0: the present one. `sort_order` `DESCEND` gives the last keys first.
    """

    key: bytes = octets(1)
    range_end: bytes = octets(2)
    limit: int = integer(3)
    revision: int = integer(4)
    sort_order: int = integer(5)
    serializable: bool = boolean(7)
    keys_only: bool = boolean(8)
    count_only: bool = boolean(9)


@dataclass(frozen=True)
class RangeResponse:
    header: Header | None = message(1, Header)
    kvs: tuple[KeyValue, ...] = message(2, KeyValue, repeated=True)
    count: int = integer(4)


@dataclass(frozen=True)
class PutRequest:
    key: bytes = octets(1)
    value: bytes = octets(2)


@dataclass(frozen=True)
class DeleteRangeRequest:
    key: bytes = octets(1)


@dataclass(frozen=True)
class DeleteRangeResponse:
    header: Header | None = message(1, Header)
    deleted: int = integer(2)


@dataclass(frozen=True)
class RequestOp:
    """One of them."""

    put: PutRequest | None = message(2, PutRequest)
    delete: DeleteRangeRequest | None = message(3, DeleteRangeRequest)


@dataclass(frozen=True)
class Compare:
    """That the key's last change is `mod_revision`; 0: that it does not exist."""

    target: int = integer(2)
    key: bytes = octets(3)
    # Part of a oneof, of which zero is sent, too: it says that the key must not exist.
    mod_revision: int | None = integer(6, optional=True)


@dataclass(frozen=True)
class TxnRequest:
    compare: tuple[Compare, ...] = message(1, Compare, repeated=True)
    success: tuple[RequestOp, ...] = message(2, RequestOp, repeated=True)


@dataclass(frozen=True)
class TxnResponse:
    header: Header | None = message(1, Header)
    succeeded: bool = boolean(2)
