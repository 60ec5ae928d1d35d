"""What is taken for a certificate signing request."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from rke2.supervisor.signing_requests import public_key
from rke2.supervisor.status import StatusError
from tests.authorities import new_key
from tests.contract.supervisor.harness import csr

KEY = new_key()
GOOD = csr(KEY)


def test_a_good_request() -> None:
    found = public_key(GOOD)
    assert found
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert found.public_bytes(*form) == KEY.public_key().public_bytes(*form)


@pytest.mark.parametrize("body", [b"", b"\0", b"text", GOOD[:-1], GOOD + b"\0", b"\x30\x80", b"\xff" * 65536])
def test_what_is_not_a_request(body: bytes) -> None:
    assert public_key(body) is None


@given(position=st.integers(0, len(GOOD) - 1), bit=st.integers(0, 7))
@settings(max_examples=300, deadline=None)
def test_a_changed_request_certifies_no_other_key_and_is_no_error_of_ours(position: int, bit: int) -> None:
    body = bytearray(GOOD)
    body[position] ^= 1 << bit
    try:
        found = public_key(bytes(body))
    except StatusError as error:
        assert error.code == 400
    else:  # a few bits mean nothing to OpenSSL, such as the number of unused ones of the signature
        assert found is None or found == KEY.public_key()


@given(st.binary(max_size=300))
def test_garbage_is_not_a_request(body: bytes) -> None:
    assert public_key(body) is None


@pytest.mark.parametrize(("bits", "good"), [(1024, False), (2048, True), (3072, True), (8200, False)])
def test_sizes_of_rsa_keys(bits: int, good: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that are too large are refused before they cost anything; making one here would take long."""
    key = rsa.generate_private_key(65537, min(bits, 3072))
    if bits > 3072:
        monkeypatch.setattr("rke2.supervisor.signing_requests._LARGEST_RSA", 3071)
    if good:
        assert public_key(csr(key))
        return
    with pytest.raises(StatusError, match="is not supported; use ECDSA with P-256") as refused:
        public_key(csr(key))
    assert refused.value.code == 400
