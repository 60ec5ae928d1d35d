"""What kube-apiserver encrypted for etcd is opened; known answers, and what it must refuse."""

from __future__ import annotations

import base64
import json
import os
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7

from rke2.pki.encryption import new_encryption_config
from rke2.pki.encryption_config import EncryptionKey
from rke2.pki.envelope import encryption_keys, open_value

KEY = bytes(range(32))
ABOUT = b"/registry/secrets/default/s"
TEXT = b"k8s\x00 and what follows"


def sealed(provider: str, text: bytes = TEXT, key: bytes = KEY, name: str = "k") -> bytes:
    if provider == "aescbc":
        iv, padder = os.urandom(16), PKCS7(128).padder()
        encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
        body = iv + encryptor.update(padder.update(text) + padder.finalize()) + encryptor.finalize()
    else:
        nonce = os.urandom(12)
        body = nonce + AESGCM(key).encrypt(nonce, text, ABOUT)
    return f"k8s:enc:{provider}:v1:{name}:".encode() + body


@pytest.mark.parametrize("provider", ["aescbc", "aesgcm"])
def test_a_value_is_opened_by_its_key_alone(provider: str) -> None:
    value = sealed(provider)
    assert open_value(value, ABOUT, {(provider, "k"): KEY}) == TEXT
    with pytest.raises(ValueError, match=f"{provider} key k does not open it"):
        open_value(value, ABOUT, {(provider, "k"): bytes(32)})
    with pytest.raises(ValueError, match=f"{provider} key k, which the snapshot does not hold"):
        open_value(value, ABOUT, {(provider, "other"): KEY})


def test_a_rotated_key_has_colons_in_its_name() -> None:
    new = EncryptionKey.new("aescbc", datetime(2026, 11, 30, 13, 15, 2, tzinfo=UTC))
    key = base64.b64decode(new.secret)
    value = sealed("aescbc", key=key, name=new.name)
    assert ":" in new.name
    assert open_value(value, ABOUT, {("aescbc", "aescbckey"): KEY, ("aescbc", new.name): key}) == TEXT


def test_secretbox_gives_the_known_answer() -> None:
    """The vector of NaCl's own tests (tests/secretbox.c)."""
    key = bytes.fromhex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389")
    nonce = bytes.fromhex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37")
    text = bytes.fromhex(
        "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c0123"
        "3561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924"
        "ca1c60902e52f0a089bc76897040e082f937763848645e0705"
    )
    box = bytes.fromhex(
        "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98"
        "dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6b"
        "b3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5"
    )
    value = b"k8s:enc:secretbox:v1:k:" + nonce + box
    keys = {("secretbox", "k"): key}
    assert open_value(value, ABOUT, keys) == text
    with pytest.raises(ValueError, match="does not open it"):
        open_value(value[:-1] + bytes([value[-1] ^ 1]), ABOUT, keys)


def test_what_is_in_the_clear_needs_no_key() -> None:
    assert open_value(TEXT, ABOUT, {}) == TEXT


@pytest.mark.parametrize("provider", ["aescbc", "secretbox"])
def test_the_keys_of_a_new_configuration_are_found(provider: str) -> None:
    config = new_encryption_config(provider)
    secret = json.loads(config)["resources"][0]["providers"][0][provider]["keys"][0]["secret"]
    assert encryption_keys(config.encode()) == {(provider, f"{provider}key"): base64.b64decode(secret)}


@pytest.mark.parametrize("config", [b"{}", b"[]", b'{"resources": 1}', b"no json"])
def test_what_is_no_configuration_is_refused(config: bytes) -> None:
    with pytest.raises(ValueError):
        encryption_keys(config)
