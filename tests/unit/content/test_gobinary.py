from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.content.images import gobinary

PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
LINKED = (
    b"crypto/internal/boring/sig.BoringCrypto crypto/internal/boring._Cfunc__goboringcrypto_SHA256_Init"
    b" /boring/boringssl/crypto/fipsmodule/sha/sha256.c"
)
TEXT = (
    "path\texample.com/prog\nmod\texample.com/prog\tv1.0.0\th1:a=\ndep\texample.com/forked\tv0.2.0\n"
    "=>\texample.com/fork\tv0.3.0\th1:c=\ndep\texample.com/local\tv0.4.0\n=>\t./local\t(devel)\t\n"
    "build\tGOEXPERIMENT=boringcrypto\nbuild\t-ldflags=-X a=b\n"
)


def program(
    *segments: int, version: str = "go1.26.8-X:boringcrypto", text: str = TEXT, code: bytes = LINKED
) -> bytes:
    """A program of nothing but headers, build information and `code`."""
    magic = b"\x7fELF\x02\x01\x01"
    header = struct.pack("<16sHHIQQQIHHHHHH", magic, 2, 62, 1, 0, 64, 0, 0, 64, 56, len(segments), 0, 0, 0)
    table = b"".join(struct.pack("<IIQQQQQQ", kind, 0, 0, 0, 0, 0, 0, 0) for kind in segments)
    mark = b"0123456789abcdef"
    info = b"\xff Go buildinf:\x08\x02" + bytes(16)
    return header + table + info + string(version.encode()) + string(mark + text.encode() + mark) + code


def string(content: bytes) -> bytes:
    length, size = len(content), b""
    while length > 0x7F:
        size, length = size + bytes([length & 0x7F | 0x80]), length >> 7
    return size + bytes([length]) + content


def test_build_information_is_read_with_replacements() -> None:
    found = gobinary.read(program(PT_LOAD))
    assert found
    assert found.version == "go1.26.8-X:boringcrypto"
    assert found.modules == {
        "example.com/prog": "v1.0.0",
        "example.com/forked": "v0.3.0",
        "example.com/local": "v0.4.0",
    }
    assert found.settings == {"GOEXPERIMENT": "boringcrypto", "-ldflags": "-X a=b"}


def test_a_static_program_with_boringcrypto_and_one_without_cryptography() -> None:
    assert gobinary.why_not_fips(program(PT_LOAD)) == ""
    assert gobinary.why_not_fips(program(PT_LOAD, code=b"strconv.Itoa")) == ""


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (program(PT_LOAD, PT_INTERP), "not static"),
        (program(PT_DYNAMIC), "not static"),
        (program(version="go1.26.8", text=""), "built by go1.26.8 without the Go experiment boringcrypto"),
        (program(text="build\tGOEXPERIMENT=other\n"), "without the Go experiment"),
        (program(code=b"crypto/internal/boring/sig.StandardCrypto"), "marker function is missing"),
        (program(code=LINKED.replace(b"fipsmodule", b"other")), "the BoringCrypto module is missing"),
        (b"\x7fELF\x02\x01" + bytes(99) + b"\0.gopclntab\0", "no Go build information"),
    ],
)
def test_what_is_no_fips_program(data: bytes, reason: str) -> None:
    assert gobinary.is_go(data)
    assert reason in gobinary.why_not_fips(data)


def test_what_is_no_go_program() -> None:
    assert not gobinary.is_go(b"\x7fELF\x02\x01" + bytes(99))
    assert not gobinary.is_go(b"#!/bin/sh\n\xff Go buildinf:")


@given(st.binary(max_size=200), st.integers(0, 400))
def test_any_bytes_are_read(noise: bytes, cut: int) -> None:
    for data in (
        noise,
        b"\x7fELF\x02\x01" + noise,
        program(PT_LOAD)[:cut],
        b"\xff Go buildinf:\x08\x02" + noise,
    ):
        gobinary.read(data)
        gobinary.why_not_fips(data)
