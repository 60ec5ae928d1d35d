from __future__ import annotations

import struct

import pytest

from distribution.builder import verify
from distribution.builder.errors import VerificationError
from distribution.builder.verify import GoBuildInfo, Module

PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3


def elf(*segments: int, machine: int = 62, magic: bytes = b"\x7fELF\x02\x01\x01") -> bytes:
    """An ELF file of nothing but headers."""
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", magic, 2, machine, 1, 0, 64, 0, 0, 64, 56, len(segments), 0, 0, 0
    )
    return header + b"".join(struct.pack("<IIQQQQQQ", kind, 0, 0, 0, 0, 0, 0, 0) for kind in segments)


def test_a_static_executable_passes() -> None:
    verify.refuse_dynamic("x", elf(PT_LOAD, PT_LOAD))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (elf(PT_LOAD, PT_INTERP), "PT_INTERP"),
        (elf(PT_LOAD, PT_DYNAMIC), "PT_DYNAMIC"),
        (elf(PT_LOAD, machine=183), "ELF machine 183"),
        (elf(PT_LOAD, magic=b"\x7fELF\x01\x01\x01"), "not a 64-bit ELF"),
        (b"#!/bin/sh\n", "not a 64-bit ELF"),
    ],
)
def test_what_is_not_static_or_not_for_this_platform_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(VerificationError, match=f"^x: .*{message}"):
        verify.refuse_dynamic("x", data)


BORING = GoBuildInfo("go1.26.8-X:boringcrypto", (), {"GOEXPERIMENT": "boringcrypto"})
LINKED = (
    b"crypto/internal/boring/sig.BoringCrypto crypto/internal/boring._Cfunc__goboringcrypto_SHA256_Init"
    b" /boring/boringssl/crypto/fipsmodule/sha/sha256.c"
)


def test_boringcrypto_passes_and_so_does_a_program_without_cryptography() -> None:
    verify.refuse_without_fips("x", LINKED, BORING)
    verify.refuse_without_fips("x", b"strconv.Itoa", BORING)


@pytest.mark.parametrize(
    ("data", "info", "message"),
    [
        (LINKED, GoBuildInfo("go1.26.8", (), {}), "without the Go experiment"),
        (b"crypto/internal/boring/sig.StandardCrypto", BORING, "marker function"),
        (LINKED.replace(b"_Cfunc__goboringcrypto_", b"Other"), BORING, "calls into"),
        (LINKED.replace(b"fipsmodule", b"other"), BORING, "the BoringCrypto module"),
    ],
)
def test_the_experiment_alone_proves_nothing(data: bytes, info: GoBuildInfo, message: str) -> None:
    with pytest.raises(VerificationError, match=f"^x: not FIPS: .*{message}"):
        verify.refuse_without_fips("x", data, info)


def test_build_information_is_read_with_replacements() -> None:
    text = """/tmp/some: dir/prog: go1.26.8-X:boringcrypto
\tpath\texample.com/prog
\tmod\texample.com/prog\tv1.0.0\th1:a=
\tdep\texample.com/plain\tv0.1.0\th1:b=
\tdep\texample.com/forked\tv0.2.0
\t=>\texample.com/fork\tv0.3.0\th1:c=
\tdep\texample.com/local\tv0.4.0
\t=>\t./local\t(devel)\t
\tbuild\tGOEXPERIMENT=boringcrypto
\tbuild\t-ldflags="-X a=b"
"""
    info = verify.parse_build_info(text.splitlines())
    assert info.go_version == "go1.26.8-X:boringcrypto"
    assert info.modules == (
        Module("example.com/prog", "v1.0.0", "h1:a="),
        Module("example.com/plain", "v0.1.0", "h1:b="),
        Module("example.com/forked", "v0.3.0", "h1:c="),
        Module("example.com/local", "v0.4.0", ""),
    )
    assert info.settings["GOEXPERIMENT"] == "boringcrypto"
    assert info.all_modules[-1] == Module("stdlib", "1.26.8", "")
