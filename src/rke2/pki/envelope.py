"""Opening what kube-apiserver encrypted for etcd, to prove that a configuration's keys are the right ones.

A value is ``k8s:enc:<provider>:v1:<key name>:`` and what the provider makes of it. kube-apiserver's own providers with
a key in the configuration are known here: aescbc, aesgcm, secretbox. A KMS is outside of any snapshot.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.poly1305 import Poly1305

PREFIX = b"k8s:enc:"
PLAIN = b"k8s\x00"
"""What every object of a built-in kind begins with in the clear."""
_IV = 16
_GCM_NONCE = 12
_BOX_NONCE, _BOX_TAG = 24, 16

Keys = Mapping[tuple[str, str], bytes]
"""Provider and key name -> key."""


def encryption_keys(config: bytes) -> Keys:
    """The keys in the content of ``encryption-config.json``.

    Raises:
        ValueError: it is not an EncryptionConfiguration.
    """
    try:
        resources: list[dict[str, Any]] = json.loads(config)["resources"]
        return {
            (provider, key["name"]): base64.b64decode(key["secret"])
            for each in resources
            for entry in each["providers"]
            for provider, settings in entry.items()
            for key in (settings.get("keys") or ())
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a valid EncryptionConfiguration: {error!r}") from error


def open_value(value: bytes, key: bytes, keys: Keys) -> bytes:
    """The content of an encrypted value; one in the clear is returned as it is.

    Args:
        key: of etcd, which aesgcm authenticates together with the content.

    Raises:
        ValueError: none of `keys` opens it; says which was needed.
    """
    if not value.startswith(PREFIX):
        return value
    which = next((each for each in keys if value.startswith(_prefix(each))), None)
    if which is None or which[0] not in _OPEN:
        provider, _, name, _ = value.removeprefix(PREFIX).split(b":", 3)
        needed = f"{provider.decode(errors='replace')} key {name.decode(errors='replace')}"
        raise ValueError(f"it is encrypted with {needed}, which the snapshot does not hold")
    try:
        return _OPEN[which[0]](keys[which], value.removeprefix(_prefix(which)), key)
    except (ValueError, InvalidTag, IndexError) as error:
        raise ValueError(f"{' key '.join(which)} does not open it") from error


def _prefix(which: tuple[str, str]) -> bytes:
    """What values begin with that were encrypted with a key; its name may hold colons, as one with a time does."""
    provider, name = which
    return PREFIX + f"{provider}:v1:{name}:".encode()


def _open_cbc(key: bytes, sealed: bytes, _: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES(key), modes.CBC(sealed[:_IV])).decryptor()
    padded = decryptor.update(sealed[_IV:]) + decryptor.finalize()
    unpadder = PKCS7(128).unpadder()
    return unpadder.update(padded) + unpadder.finalize()


def _open_gcm(key: bytes, sealed: bytes, about: bytes) -> bytes:
    return AESGCM(key).decrypt(sealed[:_GCM_NONCE], sealed[_GCM_NONCE:], about)


def _open_secretbox(key: bytes, sealed: bytes, _: bytes) -> bytes:
    """NaCl's secretbox: XSalsa20 with Poly1305, whose key is the first half of the first block."""
    nonce, tag, text = sealed[:_BOX_NONCE], sealed[_BOX_NONCE:][:_BOX_TAG], sealed[_BOX_NONCE + _BOX_TAG :]
    stream = _xsalsa20(key, nonce, 32 + len(text))
    if not hmac.compare_digest(Poly1305.generate_tag(stream[:32], text), tag):
        raise ValueError("its tag is wrong")
    return bytes(a ^ b for a, b in zip(text, stream[32:], strict=True))


_OPEN: Mapping[str, Callable[[bytes, bytes, bytes], bytes]] = {
    "aescbc": _open_cbc,
    "aesgcm": _open_gcm,
    "secretbox": _open_secretbox,
}


# --- XSalsa20, which the library lacks; for a sample of small values ----------------------------------
_SIGMA = b"expand 32-byte k"
_MASK = 0xFFFFFFFF
_QUARTERS = (
    (0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11),
    (0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14),
)  # fmt: skip
"""A double round: columns, then rows."""


def _words(data: bytes) -> list[int]:
    return [int.from_bytes(data[index : index + 4], "little") for index in range(0, len(data), 4)]


def _state(key: bytes, middle: bytes) -> list[int]:
    sigma, own = _words(_SIGMA), _words(key)
    mid = _words(middle)
    return [sigma[0], *own[:4], sigma[1], *mid, sigma[2], *own[4:], sigma[3]]


def _rounds(state: list[int]) -> list[int]:
    x = list(state)
    for _ in range(10):
        for a, b, c, d in _QUARTERS:
            for to, one, two, turn in ((b, a, d, 7), (c, b, a, 9), (d, c, b, 13), (a, d, c, 18)):
                summed = (x[one] + x[two]) & _MASK
                x[to] ^= ((summed << turn) | (summed >> (32 - turn))) & _MASK
    return x


def _bytes(words: list[int]) -> bytes:
    return b"".join(word.to_bytes(4, "little") for word in words)


def _xsalsa20(key: bytes, nonce: bytes, size: int) -> bytes:
    mixed = _rounds(_state(key, nonce[:16]))
    subkey = _bytes([mixed[index] for index in (0, 5, 10, 15, 6, 7, 8, 9)])
    stream = b""
    for block in range(-(-size // 64)):
        state = _state(subkey, nonce[16:] + block.to_bytes(8, "little"))
        stream += _bytes([(a + b) & _MASK for a, b in zip(_rounds(state), state, strict=True)])
    return stream[:size]
