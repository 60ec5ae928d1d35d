"""EncryptionConfiguration as a value, and the changes a rotation of its keys is made of.

::

    providers in order: the first one encrypts what is written, with its first key; all of them decrypt

    add      ──▶ promote           ──▶ (every Secret is written again) ──▶ retire
    readable     encrypts, others        nothing needs another key         the one key alone
                 are still readable

Mirrors the day2 reference §6.2. A configuration is never changed in place: each change gives another one.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from rke2.errors import PKIError

AESCBC, SECRETBOX, IDENTITY = "aescbc", "secretbox", "identity"
_KEY_BYTES = 32
_MOST_PROVIDERS = 3


@dataclass(frozen=True)
class EncryptionKey:
    """A named key; nothing that shows the object shows the secret."""

    name: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls, kind: str, at: datetime | None) -> EncryptionKey:
        """A random key.

        Args:
            at: becomes part of its name, in RFC 3339; None for the first key of a cluster.
        """
        name = f"{kind}key" + (f"-{at.isoformat(timespec='seconds')}" if at else "")
        return cls(name, base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode())


@dataclass(frozen=True)
class EncryptionProvider:
    """``aescbc`` or ``secretbox`` with its keys, or ``identity``, which has none."""

    kind: str
    keys: tuple[EncryptionKey, ...] = ()


_IDENTITY_PROVIDER = EncryptionProvider(IDENTITY)


@dataclass(frozen=True)
class EncryptionConfig:
    """The providers for Secrets, in their order."""

    providers: tuple[EncryptionProvider, ...]

    @classmethod
    def new(cls, kind: str, key: EncryptionKey) -> EncryptionConfig:
        """With one key; ``identity`` reads what was stored in the clear."""
        return cls((EncryptionProvider(kind, (key,)), _IDENTITY_PROVIDER))

    @classmethod
    def parse(cls, content: bytes) -> EncryptionConfig:
        """The configuration in `content`.

        Raises:
            PKIError: it is not one that RKE2 writes.
        """
        try:
            (resource,) = json.loads(content)["resources"]
            kinds, found = resource["resources"], [_provider(each) for each in resource["providers"]]
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise PKIError(f"the encryption configuration is not readable: {type(error).__name__}") from error
        if kinds != ["secrets"]:
            raise PKIError(
                "the encryption configuration is for more than Secrets",
                "rotate the keys of such a file by hand",
            )
        if len(found) > _MOST_PROVIDERS:
            raise PKIError(
                f"more than {_MOST_PROVIDERS} providers ({len(found)}) found in secrets encryption"
            )
        if not found or any(each.kind not in (AESCBC, SECRETBOX, IDENTITY) for each in found):
            raise PKIError("unsupported encryption keys found")
        return cls(tuple(found))

    def encode(self) -> bytes:
        """The content of the file; its hash is what servers compare."""
        document = {
            "kind": "EncryptionConfiguration",
            "apiVersion": "apiserver.config.k8s.io/v1",
            "resources": [
                {"resources": ["secrets"], "providers": [_document(each) for each in self.providers]}
            ],
        }
        return json.dumps(document, separators=(",", ":")).encode()

    # --- what it says ------------------------------------------------------------------------------
    @property
    def enabled(self) -> bool:
        """Whether Secrets are encrypted when they are written."""
        return self.providers[0].kind != IDENTITY

    @property
    def active(self) -> EncryptionKey | None:
        """The key that encrypts."""
        return self.providers[0].keys[0] if self.enabled else None

    def keys(self, kind: str) -> tuple[EncryptionKey, ...]:
        """Those of one type."""
        return next((each.keys for each in self.providers if each.kind == kind), ())

    @property
    def count(self) -> int:
        """Keys of all types."""
        return sum(len(each.keys) for each in self.providers)

    # --- changes -----------------------------------------------------------------------------------
    def add(self, kind: str, key: EncryptionKey) -> EncryptionConfig:
        """With one more key to read with: the last one of its type, of a type behind those that are there."""
        if self.keys(kind):
            return self._with(EncryptionProvider(kind, (*self.keys(kind), key)))
        keyed = [each for each in self.providers if each.kind != IDENTITY]
        return self._ordered([*keyed, EncryptionProvider(kind, (key,))], enabled=self.enabled)

    def promote(self, kind: str) -> EncryptionConfig:
        """With the newest key of `kind` as the one that encrypts."""
        *older, newest = self.keys(kind)
        return self._with(EncryptionProvider(kind, (newest, *older)))._first(kind, enabled=True)

    def retire(self) -> EncryptionConfig:
        """With the key alone that encrypts; what is encrypted with another one cannot be read from now on."""
        active = self.active
        assert active is not None, "only after everything was encrypted with it"
        return EncryptionConfig((EncryptionProvider(self.providers[0].kind, (active,)), _IDENTITY_PROVIDER))

    def enable(self, kind: str) -> EncryptionConfig:
        """Encrypting with the first key of `kind`.

        Raises:
            PKIError: there is none.
        """
        if not self.keys(kind):
            raise PKIError(f"cannot enable secrets encryption with {kind} key type, no keys found")
        return self._first(kind, enabled=True)

    def disable(self) -> EncryptionConfig:
        """Writing in the clear; every key still reads."""
        return self._ordered([each for each in self.providers if each.kind != IDENTITY], enabled=False)

    def _with(self, provider: EncryptionProvider) -> EncryptionConfig:
        changed = tuple(provider if each.kind == provider.kind else each for each in self.providers)
        return replace(self, providers=changed)

    def _first(self, kind: str, *, enabled: bool) -> EncryptionConfig:
        keyed = [each for each in self.providers if each.kind != IDENTITY]
        return self._ordered(sorted(keyed, key=lambda each: each.kind != kind), enabled=enabled)

    @staticmethod
    def _ordered(keyed: list[EncryptionProvider], *, enabled: bool) -> EncryptionConfig:
        in_order = [*keyed, _IDENTITY_PROVIDER] if enabled else [_IDENTITY_PROVIDER, *keyed]
        return EncryptionConfig(tuple(in_order))


def _provider(document: Mapping[str, Any]) -> EncryptionProvider:
    ((kind, settings),) = document.items()
    keys = () if kind == IDENTITY else settings["keys"]
    return EncryptionProvider(
        kind, tuple(EncryptionKey(str(key["name"]), str(key["secret"])) for key in keys)
    )


def _document(provider: EncryptionProvider) -> dict[str, Any]:
    keys = [{"name": key.name, "secret": key.secret} for key in provider.keys]
    return {provider.kind: {"keys": keys} if keys else {}}
