"""The netlink messages of IP sets; the kernel's own are in the cluster test of a CNI plugin's removal."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from rke2.host import ipsets


def message(kind: int, payload: bytes) -> bytes:
    padded = payload + bytes(-len(payload) % 4)
    return struct.pack("=IHHII", 16 + len(payload), kind, 0, 1, 0) + padded


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=40)), max_size=5))
def test_messages_of_one_datagram(sent: list[tuple[int, bytes]]) -> None:
    assert list(ipsets.messages(b"".join(message(*each) for each in sent))) == sent


@given(st.binary(max_size=200))
def test_any_bytes_end(data: bytes) -> None:
    list(ipsets.messages(data))
    ipsets._name(data)


def test_a_name_among_attributes() -> None:
    protocol, name = ipsets._attribute(1, b"\6"), ipsets._attribute(2, b"cali40masq\0")
    assert ipsets._name(protocol + name) == "cali40masq"
    assert ipsets._name(protocol) == ""
