"""Encryption of Secrets in etcd: the apiserver's configuration file and the record of its stage.

Mirrors the supervisor reference §10.1. Secrets are always encrypted; the provider is chosen once, when the cluster is
made, and changed by ``rke2 secrets-encrypt`` afterwards.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rke2.errors import PKIError
from rke2.host.files import write_atomic
from rke2.pki.pem import read_file

CONFIG = "encryption-config.json"
STATE = "encryption-state.json"
FIRST_STAGE = "start"
_KEY_BYTES = 32
_IDENTITY = "identity"
_SHOWN_AS = {"aescbc": "AES-CBC", "secretbox": "XSalsa20-POLY1305"}
"""Provider -> what RKE2 calls its keys."""


@dataclass(frozen=True)
class Keys:
    """What a configuration encrypts with.

    Args:
        enabled: whether Secrets are encrypted when they are written.
        active: type and name of the key they are encrypted with, as ``AES-CBC aescbckey``; empty for none.
        inactive: keys that are only read with.
    """

    enabled: bool
    active: str
    inactive: tuple[str, ...]


def ensure_encryption_config(cred: Path, provider: str) -> None:
    """Make ``encryption-config.json`` with a random key, and its stage file, unless they are in `cred`.

    Args:
        provider: ``aescbc`` or ``secretbox``; only used for a new file.

    Raises:
        PKIError: the file there is not an EncryptionConfiguration.
    """
    path = cred / CONFIG
    content = read_file(path)
    if content is None:
        content = new_encryption_config(provider).encode()
        write_atomic(path, content, 0o600, durable=True)
    check_encryption_config(path, content)
    if read_file(cred / STATE) is None:
        write_atomic(cred / STATE, encryption_state(FIRST_STAGE, content), 0o600)


def new_encryption_config(provider: str) -> str:
    """JSON of a configuration with one new key; the identity provider reads what was stored in the clear."""
    key = base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
    providers: list[dict[str, Any]] = [
        {provider: {"keys": [{"name": f"{provider}key", "secret": key}]}},
        {"identity": {}},
    ]
    return json.dumps(
        {
            "kind": "EncryptionConfiguration",
            "apiVersion": "apiserver.config.k8s.io/v1",
            "resources": [{"resources": ["secrets"], "providers": providers}],
        },
        separators=(",", ":"),
    )


def encryption_state(stage: str, config: bytes) -> str:
    """``<stage>-<hash of the configuration>``: content of the state file and of the node's annotation."""
    return f"{stage}-{hashlib.sha256(config).hexdigest()}"


def stored_state(cred: Path) -> str:
    """What the state file says, which the Node's annotation repeats; empty before the first start."""
    content = read_file(cred / STATE)
    return content.decode(errors="replace").strip() if content else ""


def keys_of(config: bytes) -> Keys:
    """The keys in the content of ``encryption-config.json``.

    Keys of a provider behind ``identity`` do not encrypt anything new: the first provider is the one that writes.

    Raises:
        ValueError: it is not an EncryptionConfiguration with one list of providers.
    """
    try:
        providers: list[dict[str, Any]] = json.loads(config)["resources"][0]["providers"]
        names = [
            f"{_SHOWN_AS.get(kind, kind)} {key['name']}"
            for provider in providers
            for kind, settings in provider.items()
            if kind != _IDENTITY
            for key in settings["keys"]
        ]
        enabled = _IDENTITY not in providers[0]
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"it is not an EncryptionConfiguration: {error!r}") from error
    active = names[0] if enabled and names else ""
    return Keys(enabled, active, tuple(name for name in names if name != active))


def check_encryption_config(path: Path, content: bytes) -> None:
    try:
        kind = json.loads(content)["kind"]
    except (ValueError, KeyError, TypeError):
        kind = "not readable"
    if kind != "EncryptionConfiguration":
        raise PKIError(
            f"{path} is no EncryptionConfiguration ({kind})",
            "put the original file back; without its keys the Secrets in etcd cannot be read",
        )
