from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.etcd import messages, protobuf
from rke2.etcd.messages import Compare, Member, MembersResponse, StatusResponse, TxnResponse
from rke2.etcd.protobuf import DecodeError, decode, decode_varint, encode, encode_varint, split

IDS = st.integers(0, 2**64 - 1)
NUMBERS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(max_size=20)
MEMBERS = st.builds(
    Member, IDS, TEXTS, st.lists(TEXTS, max_size=3).map(tuple), st.just(("https://x:2379",)), st.booleans()
)
HEADERS = st.builds(messages.Header, IDS, IDS, NUMBERS, IDS)
VALUES = st.one_of(
    MEMBERS,
    st.builds(MembersResponse, st.none() | HEADERS, st.lists(MEMBERS, max_size=4).map(tuple)),
    st.builds(Compare, NUMBERS, st.binary(max_size=9), st.none() | NUMBERS),
    st.builds(
        StatusResponse, HEADERS, TEXTS, NUMBERS, IDS, IDS, IDS, IDS, st.just(("a", "b")), st.booleans()
    ),
    st.builds(messages.KeyValue, st.binary(), NUMBERS, NUMBERS, NUMBERS, st.binary(), NUMBERS),
)


@given(VALUES)
def test_what_is_encoded_is_decoded(value: Any) -> None:
    assert decode(type(value), encode(value)) == value


@given(st.integers(0, 2**64 - 1), st.binary(max_size=3))
def test_numbers_are_exact(value: int, rest: bytes) -> None:
    data = encode_varint(value)
    assert decode_varint(data + rest, 0) == (value, len(data))


@given(st.binary(max_size=60), st.sampled_from([MembersResponse, StatusResponse, TxnResponse, Member]))
def test_any_bytes_are_a_message_or_refused(data: bytes, kind: type) -> None:
    with contextlib.suppress(DecodeError):
        assert isinstance(decode(kind, data), kind)


@given(VALUES, st.integers(min_value=0))
def test_a_message_that_is_cut_off_is_not_taken_for_a_whole_one(value: Any, at: int) -> None:
    data = encode(value)
    cut = data[: at % max(len(data), 1)]
    try:
        short = decode(type(value), cut)
    except DecodeError:
        return
    assert encode(short) == cut or len(encode(short)) < len(data)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "00"),
        (127, "7f"),
        (128, "8001"),
        (300, "ac02"),
        (2**64 - 1, "ffffffffffffffffff01"),
        (-1, "ffffffffffffffffff01"),
    ],
)
def test_numbers_have_their_known_bytes(value: int, expected: str) -> None:
    assert encode_varint(value).hex() == expected


@pytest.mark.parametrize(
    "data", ["80", "ff" * 10 + "01", "ffffffffffffffffff02", "0a05616263", "0b", "09ff", "0a02c328"]
)
def test_what_is_no_message_is_refused(data: str) -> None:
    with pytest.raises(DecodeError):
        decode(messages.RequestOp if data == "0b" else Named, bytes.fromhex(data))


@dataclass(frozen=True)
class Named:
    name: str = protobuf.text(1)


def test_unknown_fields_of_every_type_are_skipped() -> None:
    unknown = bytes.fromhex("c83e01c13e0000000000000000c53e00000000ca3e03616263")
    assert [number for number, *_ in split(unknown)] == [1001, 1000, 1000, 1001]
    assert decode(Named, unknown + bytes.fromhex("0a026f6b") + unknown) == Named("ok")


def test_the_last_of_a_repeated_scalar_counts() -> None:
    assert decode(Named, encode(Named("a")) + encode(Named("b"))) == Named("b")


def test_a_field_of_another_type_is_refused() -> None:
    with pytest.raises(DecodeError, match=r"Named\.name has wire type 0"):
        decode(Named, bytes.fromhex("0801"))
