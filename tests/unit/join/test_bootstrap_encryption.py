"""The encryption of bootstrap data against values computed step by step from the description."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from rke2.errors import JoinError
from rke2.join import bootstrap_encryption

SALT = b"00112233aabbccdd"
NONCE = bytes(range(12))


def pbkdf2_sha1(password: bytes, salt: bytes, length: int) -> bytes:
    """RFC 8018, written out."""
    key = b""
    for block in range(1, length // 20 + 2):
        step = hmac.digest(password, salt + block.to_bytes(4, "big"), "sha1")
        total = int.from_bytes(step, "big")
        for _ in range(4095):
            step = hmac.digest(password, step, "sha1")
            total ^= int.from_bytes(step, "big")
        key += total.to_bytes(20, "big")
    return key[:length]


def sealed(plaintext: bytes, password: str) -> bytes:
    """The stored value, made of AES-GCM's parts."""
    key = pbkdf2_sha1(password.encode(), SALT, 32)
    encryptor = Cipher(algorithms.AES(key), modes.GCM(NONCE)).encryptor()
    ciphertext = encryptor.update(plaintext) + encryptor.finalize()
    return SALT + b":" + base64.b64encode(NONCE + ciphertext + encryptor.tag)


def opened(value: bytes, password: str) -> bytes:
    salt, _, text = value.partition(b":")
    data = base64.b64decode(text)
    key = pbkdf2_sha1(password.encode(), salt, 32)
    decryptor = Cipher(algorithms.AES(key), modes.GCM(data[:12], data[-16:])).decryptor()
    return decryptor.update(data[12:-16]) + decryptor.finalize()


def test_a_value_made_elsewhere_is_opened() -> None:
    assert bootstrap_encryption.decrypt(sealed(b'{"ServerCA":{}}', "secret"), "secret") == b'{"ServerCA":{}}'


def test_a_value_is_opened_elsewhere() -> None:
    value = bootstrap_encryption.encrypt(b"plain", "secret")
    assert re.fullmatch(rb"[0-9a-f]{16}:[A-Za-z0-9+/]+={0,2}", value)
    assert opened(value, "secret") == b"plain"


@given(st.binary(max_size=100), st.text(max_size=20))
def test_round_trip(plaintext: bytes, password: str) -> None:
    first = bootstrap_encryption.encrypt(plaintext, password)
    assert bootstrap_encryption.decrypt(first, password) == plaintext
    assert bootstrap_encryption.encrypt(plaintext, password) != first


@pytest.mark.parametrize(
    "value",
    [
        sealed(b"plain", "another"),
        sealed(b"plain", "secret")[:-4] + b"AAA=",
        SALT + b":",
        SALT + b":AAAA",
        SALT + b":AAA",
        b"",
        b"garbage",
        b"\xff:\xff",
    ],
)
def test_what_does_not_open(value: bytes) -> None:
    with pytest.raises(
        JoinError, match="bootstrap data already found and encrypted with different token"
    ) as caught:
        bootstrap_encryption.decrypt(value, "secret")
    assert caught.value.final


def test_the_key_in_etcd() -> None:
    digest = hashlib.sha256(b"secret").hexdigest()
    assert bootstrap_encryption.token_hash("secret") == digest[:12] == "2bb80d537b1d"
    assert bootstrap_encryption.storage_key("secret") == "/bootstrap/2bb80d537b1d"
