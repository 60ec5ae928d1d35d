"""Every frame survives the wire; no bytes do harm."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rke2.errors import TunnelError
from rke2.tunnel.frames import (
    ADDRESS_LIMIT,
    ERROR_LIMIT,
    Frame,
    FrameError,
    FrameKind,
    error_payload,
    error_text,
    pack_connections,
    split_address,
    unpack_connections,
)

NUMBERS = st.integers(-(2**63), 2**63 - 1)


@settings(deadline=None)
@given(NUMBERS, NUMBERS, st.sampled_from(FrameKind), st.binary(max_size=1000))
def test_what_is_encoded_is_decoded(number: int, connection: int, kind: FrameKind, payload: bytes) -> None:
    frame = Frame(number, connection, kind, payload)
    assert Frame.decode(frame.encode()) == frame


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_a_named_error(message: bytes) -> None:
    try:
        frame = Frame.decode(message)
    except TunnelError as error:
        assert isinstance(error, FrameError)
    else:
        assert len(frame.payload) < len(message)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x02\x04", id="no kind"),
        pytest.param(b"\x02\x04\x02", id="no deadline"),
        pytest.param(b"\x80" * 9, id="unfinished number"),
        pytest.param(b"\x80" * 10 + b"\x01\x04\x06", id="eleven bytes"),
        pytest.param(b"\xff" * 9 + b"\x02\x04\x06", id="65 bits"),
    ],
)
def test_cut_or_oversized_headers_are_refused(message: bytes) -> None:
    with pytest.raises(FrameError):
        Frame.decode(message)


@settings(deadline=None)
@given(st.lists(NUMBERS, max_size=20))
def test_connection_lists_are_read_as_written(numbers: list[int]) -> None:
    assert unpack_connections(pack_connections(numbers)) == set(numbers)


def test_a_cut_connection_list_is_refused() -> None:
    with pytest.raises(FrameError):
        unpack_connections(bytes(9))


def test_addresses_have_a_protocol_and_a_limit() -> None:
    longest = b"tcp/" + b"a" * (ADDRESS_LIMIT - 4)
    assert split_address(longest)[0] == "tcp"
    for bad in (longest + b"a", b"127.0.0.1:10250", b"tcp/\xff"):
        with pytest.raises(FrameError):
            split_address(bad)


def test_long_errors_are_cut() -> None:
    assert len(error_payload("ä" * 200)) == ERROR_LIMIT
    assert error_text(b"x" * 5000) == "x" * ERROR_LIMIT
    assert error_text(b"\xff")
