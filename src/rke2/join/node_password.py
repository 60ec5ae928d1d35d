"""Hashes of node passwords: ``$1:<salt>:<log2 N>:<r>:<p>:<key>`` made with scrypt, and the Secrets that
keep them.

Mirrors the supervisor reference §4.3: the salt is hex, the key base64 without padding. `hash` and `verify`
take a tenth of a second and 32 MiB: not for the event loop.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets

SECRET_NAMESPACE = "kube-system"
SECRET_TYPE = "rke2.cattle.io/node-password"
SECRET_SUFFIX = ".node-password.rke2"

_LOG_N, _R, _P = 15, 8, 1
_KEY_BYTES = 64
_SALT_BYTES = 8
# Whoever may write the Secret chooses the parameters: one comparison must not take all memory, or minutes.
_MAX_MEMORY = 128 << 20
_MAX_PASSES = 4
_FORMAT = re.compile(
    r"\$1:((?:[0-9a-f]{2}){1,64}):(\d{1,2}):(\d{1,3}):(\d{1,2}):([A-Za-z0-9+/]{86})", re.ASCII
)


def secret_name(node: str) -> str:
    """The Secret of the node called `node`."""
    return f"{node.lower()}{SECRET_SUFFIX}"


def hash(password: str) -> str:
    """The hash of `password` with a random salt."""
    salt = secrets.token_bytes(_SALT_BYTES)
    key = _derive(password, salt, _LOG_N, _R, _P, _KEY_BYTES)
    text = base64.b64encode(key).decode().rstrip("=")
    return f"$1:{salt.hex()}:{_LOG_N}:{_R}:{_P}:{text}"


def verify(text: str, password: str) -> bool:
    """Whether `text` is a hash of `password`.

    The parameters are those in `text`. A text that is in another format, or would cost unreasonably much memory or
    time, is a hash of nothing.
    """
    match = _FORMAT.fullmatch(text)
    if not match:
        return False
    salt, (log_n, r, p) = bytes.fromhex(match[1]), map(int, match.groups()[1:4])
    expected = _decode(match[5])
    if not (log_n and r and p and _bounded(log_n, r, p) and expected):
        return False
    return hmac.compare_digest(_derive(password, salt, log_n, r, p, len(expected)), expected)


def _bounded(log_n: int, r: int, p: int) -> bool:
    """scrypt wants log2 N below 16 r, too."""
    return 128 * r << log_n <= _MAX_MEMORY and p <= _MAX_PASSES and log_n < 16 * r


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return b""


def _derive(password: str, salt: bytes, log_n: int, r: int, p: int, length: int) -> bytes:
    # OpenSSL allows 32 MiB by default, a little less than RKE2's parameters take.
    memory = (128 * r << log_n) + 128 * r * (p + 2) + (1 << 20)
    # What a header holds beside UTF-8 comes in such characters: a wrong password, and no error of ours.
    data = password.encode(errors="surrogateescape")
    return hashlib.scrypt(data, salt=salt, n=1 << log_n, r=r, p=p, maxmem=memory, dklen=length)
