"""etcd's messages byte by byte, and the two JSON texts that servers of other versions read."""

from datetime import UTC, datetime
from typing import Any

import pytest

from rke2.etcd import messages
from rke2.etcd.learners import LearnerProgress
from rke2.etcd.members import db_info, parse_db_info
from rke2.etcd.messages import (
    AlarmRequest,
    Compare,
    DeleteRangeRequest,
    Header,
    Member,
    MemberAddRequest,
    MemberIDRequest,
    MemberListRequest,
    MembersResponse,
    MemberUpdateRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    StatusResponse,
    TxnRequest,
    TxnResponse,
)
from rke2.etcd.protobuf import decode, encode

MEMBER = Member(
    0xFEDCBA9876543210, "n1-1a2b3c4d", ("https://10.0.0.1:2380",), ("https://10.0.0.1:2379",), True
)
PEER = b"\x15https://10.0.0.1:2380"
CLIENT = b"\x15https://10.0.0.1:2379"
ID = b"\x08\x90\xe4\xd0\xb2\x87\xd3\xae\xee\xfe\x01"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (MEMBER, ID + b"\x12\x0bn1-1a2b3c4d" + b"\x1a" + PEER + b"\x22" + CLIENT + b"\x28\x01"),
        (MemberListRequest(True), b"\x08\x01"),
        (MemberListRequest(), b""),
        (MemberAddRequest(("https://10.0.0.1:2380",), True), b"\x0a" + PEER + b"\x10\x01"),
        (MemberIDRequest(MEMBER.id), ID),
        (MemberUpdateRequest(MEMBER.id, ("https://10.0.0.1:2380",)), ID + b"\x12" + PEER),
        (AlarmRequest(messages.ALARM_DEACTIVATE, 5, messages.ALARM_NOSPACE), b"\x08\x02\x10\x05\x18\x01"),
        (RangeRequest(b"k"), b"\x0a\x01k"),
        (RangeRequest(b"k", b"l", serializable=True), b"\x0a\x01k\x12\x01l\x38\x01"),
        (PutRequest(b"k", b"\x00\xff"), b"\x0a\x01k\x12\x02\x00\xff"),
        # That a key does not exist is its modification revision being 0, which is written out.
        (Compare(messages.TARGET_MOD, b"k", 0), b"\x10\x02\x1a\x01k\x30\x00"),
        (Compare(messages.TARGET_MOD, b"k", 300), b"\x10\x02\x1a\x01k\x30\xac\x02"),
        (RequestOp(put=PutRequest(b"k", b"")), b"\x12\x03\x0a\x01k"),
        (RequestOp(delete=DeleteRangeRequest(b"k")), b"\x1a\x03\x0a\x01k"),
        (
            TxnRequest((Compare(messages.TARGET_MOD, b"k", 0),), (RequestOp(put=PutRequest(b"k", b"v")),)),
            b"\x0a\x07\x10\x02\x1a\x01k\x30\x00" + b"\x12\x08\x12\x06\x0a\x01k\x12\x01v",
        ),
    ],
)
def test_requests_have_the_bytes_etcd_reads(message: Any, expected: bytes) -> None:
    assert encode(message) == expected
    assert decode(type(message), expected) == message


def test_answers_are_read_from_the_bytes_etcd_writes() -> None:
    header = b"\x0a\x08\x08\x01\x10\x02\x18\x03\x20\x04"
    assert decode(MembersResponse, header + b"\x12\x02\x08\x07") == MembersResponse(
        Header(1, 2, 3, 4), (Member(7),)
    )
    status = header + b"\x12\x063.6.14\x18\x80\x20\x20\x02\x28\x09\x30\x04\x38\x08"
    status += b"\x42\x01e\x42\x01f\x48\x80\x10\x50\x01\x5a\x033.6\x60\x80\x01\x6a\x02\x08\x01"
    assert decode(StatusResponse, status) == StatusResponse(
        Header(1, 2, 3, 4), "3.6.14", 4096, 2, 9, 4, 8, ("e", "f"), True, "3.6"
    )
    assert decode(TxnResponse, header + b"\x10\x01\x1a\x04\x12\x02\x0a\x00").succeeded
    assert not decode(TxnResponse, header).succeeded


def test_db_info_has_the_text_other_servers_read() -> None:
    expected = (
        b'{"members":[{"ID":18364758544493064720,"name":"n1-1a2b3c4d","peerURLs":["https://10.0.0.1:2380"],'
        b'"clientURLs":["https://10.0.0.1:2379"],"isLearner":true},{"ID":7,"peerURLs":["https://10.0.0.2:2380"]}]}'
    )
    members = (MEMBER, Member(7, peer_urls=("https://10.0.0.2:2380",)))
    assert db_info(members) == expected
    assert parse_db_info(expected) == members
    assert parse_db_info(b'{"members":null}') == ()
    assert parse_db_info(b'{"members":[{"ID":7,"peerURLs":null,"other":{}}]}') == (Member(7),)


def test_the_progress_of_a_learner_has_the_text_other_leaders_read() -> None:
    record = LearnerProgress(2**64 - 1, "n2-0", 12, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    expected = b'{"id":18446744073709551615,"name":"n2-0","raftAppliedIndex":12,"lastProgress":"2026-01-02T03:04:05Z"}'
    assert record.encode() == expected
    assert LearnerProgress.decode(expected) == record
