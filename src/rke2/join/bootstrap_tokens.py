"""Bootstrap tokens: Secrets with which agents may join for a while (supervisor reference §3.1 and §12)."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rke2.errors import JoinError
from rke2.kube.objects import Object

NAMESPACE = "kube-system"
TYPE = "bootstrap.kubernetes.io/token"
BASE_GROUP = "system:bootstrappers"
DEFAULT_GROUP = "system:bootstrappers:rke2:default-node-token"
USAGES = ("authentication", "signing")

_USER = "system:bootstrap:"
_NAME = "bootstrap-token-"
_ALPHABET = string.ascii_lowercase + string.digits
_ID = re.compile(r"[a-z0-9]{6}", re.ASCII)
_SECRET = re.compile(r"[a-z0-9]{16}", re.ASCII)
# Kubernetes' own rule: a token in a Secret makes nobody a member of other groups.
_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]", re.ASCII)
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class StoredToken:
    """What a Secret says; `expires` None means never."""

    id: str
    secret: str
    description: str = ""
    expires: datetime | None = None
    usages: tuple[str, ...] = USAGES
    groups: tuple[str, ...] = (DEFAULT_GROUP,)

    def __str__(self) -> str:
        return f"{self.id}.{self.secret}"

    def expired(self, now: datetime) -> bool:
        return self.expires is not None and self.expires <= now

    def to_secret(self) -> Object:
        """The Secret that keeps it."""
        data = {
            "token-id": self.id,
            "token-secret": self.secret,
            **({"description": self.description} if self.description else {}),
            **({"expiration": self.expires.astimezone(UTC).strftime(_TIME)} if self.expires else {}),
            **{f"usage-bootstrap-{usage}": "true" for usage in self.usages},
            **({"auth-extra-groups": ",".join(self.groups)} if self.groups else {}),
        }
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": secret_name(self.id), "namespace": NAMESPACE},
            "type": TYPE,
            "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
        }

    @classmethod
    def from_secret(cls, secret: Mapping[str, Any]) -> StoredToken:
        """Parse what `to_secret` or anybody else made.

        Raises:
            JoinError: it is no bootstrap token.
        """
        meta = secret.get("metadata") or {}
        try:
            data = _texts(secret)
            token = cls(
                id=data["token-id"],
                secret=data["token-secret"],
                description=data.get("description", ""),
                expires=_time(data["expiration"]) if data.get("expiration") else None,
                usages=tuple(usage for usage in USAGES if data.get(f"usage-bootstrap-{usage}") == "true"),
                groups=tuple(filter(None, data.get("auth-extra-groups", "").split(","))),
            )
            token._check(str(meta.get("name", "")))
        except KeyError as error:
            raise _unusable(meta, f"{error} is missing") from error
        except (ValueError, TypeError, AttributeError) as error:
            raise _unusable(meta, str(error)) from error
        return token

    def _check(self, name: str) -> None:
        if not _ID.fullmatch(self.id) or not _SECRET.fullmatch(self.secret):
            raise ValueError("token-id or token-secret is malformed")
        # Tokens are looked up by this name, here and in
        # kube-apiserver: under another one it is nobody's token.
        if name != secret_name(self.id):
            raise ValueError("its name is not that of its token-id")
        check_groups(self.groups)


def new_token(
    *,
    description: str = "",
    expires: datetime | None = None,
    usages: Sequence[str] = USAGES,
    groups: Sequence[str] = (DEFAULT_GROUP,),
) -> StoredToken:
    """A random token."""
    return StoredToken(_random(6), _random(16), description, expires, tuple(usages), tuple(groups))


def secret_name(token_id: str) -> str:
    return _NAME + token_id


def check_groups(groups: Sequence[str]) -> None:
    """Raises ValueError for a group outside of ``system:bootstrappers:``."""
    for group in groups:
        if group != BASE_GROUP and not _GROUP.fullmatch(group):
            raise ValueError(f"group {group!r} does not begin with {BASE_GROUP}:")


def identity_of(secret: Mapping[str, Any], token: str, now: datetime) -> tuple[str, frozenset[str]] | None:
    """Whom ``<id>.<secret>`` authenticates: user and groups, None if nobody (see `refusal` for the reason)."""
    if refusal(secret, token, now):
        return None
    stored = StoredToken.from_secret(secret)
    return _USER + stored.id, frozenset({BASE_GROUP, *stored.groups})


def refusal(secret: Mapping[str, Any], token: str, now: datetime) -> str:
    """Why the Secret does not let a client with `token` in; empty if it does."""
    if secret.get("type") != TYPE:
        return f"it is not of type {TYPE}"
    if (secret.get("metadata") or {}).get("deletionTimestamp"):
        return "it is being deleted"
    try:
        stored = StoredToken.from_secret(secret)
    except JoinError as error:
        return error.message
    if not hmac.compare_digest(str(stored).encode(), token.encode(errors="surrogateescape")):
        return "the token is another one"
    if stored.expired(now):
        return "it has expired"
    return "" if "authentication" in stored.usages else "it is not for authentication"


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _texts(secret: Mapping[str, Any]) -> dict[str, str]:
    try:
        return {
            key: base64.b64decode(value, validate=True).decode()
            for key, value in (secret.get("data") or {}).items()
        }
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(f"its data is not readable: {error}") from None


def _time(text: str) -> datetime:
    """RFC 3339; one without a zone is refused."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"expiration {text!r} has no time zone")
    return time


def _unusable(meta: Mapping[str, Any], why: str) -> JoinError:
    return JoinError(f"Secret {NAMESPACE}/{meta.get('name', '')} is no bootstrap token: {why}")
