"""The encryption of the bootstrap data in etcd, by a key made of the cluster's token.

Mirrors the supervisor reference §6.2. The value is ``<salt>:<base64>`` with 16 hex digits of salt, which enter the key
derivation as text, and base64 of nonce, AES-256-GCM ciphertext and tag. "Password" is the password part of the
server token. Deriving a key takes some milliseconds: not for the event loop.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rke2.errors import JoinError

PREFIX = "/bootstrap/"
_HASH_DIGITS = 12
_SALT_BYTES = 8
_NONCE_BYTES = 12
_KEY_BYTES = 32
# RKE2's, as SHA-1 below is: with anything else its servers and ours could not open each other's data.
_ITERATIONS = 4096
_FORMAT = re.compile(rb"([0-9a-f]{16}):([A-Za-z0-9+/]+={0,2})")


def token_hash(password: str) -> str:
    """Twelve hex digits that tell tokens apart: part of the storage key, and a mark on snapshots."""
    return hashlib.sha256(password.encode()).hexdigest()[:_HASH_DIGITS]


def storage_key(password: str) -> str:
    """The etcd key of the data that `password` opens."""
    return PREFIX + token_hash(password)


def encrypt(plaintext: bytes, password: str) -> bytes:
    """The value to store."""
    salt, nonce = secrets.token_hex(_SALT_BYTES).encode(), secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(_key(password, salt)).encrypt(nonce, plaintext, None)
    return salt + b":" + base64.b64encode(nonce + sealed)


def decrypt(value: bytes, password: str) -> bytes:
    """What `encrypt` was given.

    Raises:
        JoinError: `password` is not the one it was encrypted with, or the value is damaged.
    """
    match = _FORMAT.fullmatch(value)
    if not match:
        raise wrong_token()
    try:
        sealed = base64.b64decode(match[2], validate=True)
        nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        return AESGCM(_key(password, match[1])).decrypt(nonce, ciphertext, None)
    except (InvalidTag, ValueError) as error:
        raise wrong_token() from error


def wrong_token() -> JoinError:
    """The error for data that this server's token does not open."""
    return JoinError(
        "bootstrap data already found and encrypted with different token",
        "set token to the token of this cluster",
        final=True,
    )


def _key(password: str, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha1", password.encode(), salt, _ITERATIONS, _KEY_BYTES)
