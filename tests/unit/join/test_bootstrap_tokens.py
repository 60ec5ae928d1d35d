from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rke2.errors import JoinError
from rke2.join.bootstrap_tokens import StoredToken, identity_of, new_token, refusal

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOKEN = StoredToken("abcdef", "0123456789abcdef", "for a test", NOW + timedelta(hours=1))
GROUPS = frozenset({"system:bootstrappers", "system:bootstrappers:rke2:default-node-token"})


def changed(data: dict[str, str | None] | None = None, **fields: Any) -> dict[str, Any]:
    """The Secret of `TOKEN` with other data or fields."""
    secret = {**TOKEN.to_secret(), **fields}
    for key, value in (data or {}).items():
        if value is None:
            del secret["data"][key]
        else:
            secret["data"][key] = base64.b64encode(value.encode()).decode()
    return secret


def test_the_secret() -> None:
    secret = TOKEN.to_secret()
    assert secret["metadata"] == {"name": "bootstrap-token-abcdef", "namespace": "kube-system"}
    assert secret["type"] == "bootstrap.kubernetes.io/token"
    assert {key: base64.b64decode(value).decode() for key, value in secret["data"].items()} == {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "description": "for a test",
        "expiration": "2026-11-23T13:00:00Z",
        "usage-bootstrap-authentication": "true",
        "usage-bootstrap-signing": "true",
        "auth-extra-groups": "system:bootstrappers:rke2:default-node-token",
    }
    assert StoredToken.from_secret(secret) == TOKEN


def test_a_random_token_without_end() -> None:
    token = new_token()
    assert "expiration" not in token.to_secret()["data"]
    assert StoredToken.from_secret(token.to_secret()) == token
    assert str(token) != str(new_token())


def test_who_a_token_is() -> None:
    assert identity_of(TOKEN.to_secret(), str(TOKEN), NOW) == ("system:bootstrap:abcdef", GROUPS)


def test_a_token_without_groups_is_a_bootstrapper() -> None:
    found = identity_of(changed({"auth-extra-groups": None}), str(TOKEN), NOW)
    assert found is not None
    assert found[1] == {"system:bootstrappers"}


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        (changed({"expiration": "2026-11-23T12:00:00Z"}), "expired"),
        (changed({"expiration": "2026-11-23T12:30:00+01:00"}), "expired"),
        (changed({"expiration": "soon"}), "is no bootstrap token"),
        (changed({"expiration": "2026-11-24T12:00:00"}), "no time zone"),
        (changed({"usage-bootstrap-authentication": "false"}), "not for authentication"),
        (changed({"usage-bootstrap-authentication": None}), "not for authentication"),
        (changed({"auth-extra-groups": "system:masters"}), "system:masters"),
        (changed({"token-secret": "fedcba9876543210"}), "another one"),
        (changed({"token-secret": "short"}), "malformed"),
        (changed({"token-id": None}), "token-id' is missing"),
        (changed({"token-id": "zzzzzz"}), "its name"),
        (changed(type="Opaque"), "not of type"),
        (changed(metadata={"name": "bootstrap-token-abcdef", "deletionTimestamp": "x"}), "being deleted"),
        (changed(data=None), "is missing"),
        ({"type": "bootstrap.kubernetes.io/token", "data": {"token-id": "?"}}, "not readable"),
        ({}, "not of type"),
    ],
)
def test_who_is_nobody(secret: dict[str, Any], reason: str) -> None:
    if reason == "is missing":
        secret = {**TOKEN.to_secret(), "data": None}
    assert identity_of(secret, str(TOKEN), NOW) is None
    assert reason in refusal(secret, str(TOKEN), NOW)


@pytest.mark.parametrize("token", ["", "abcdef.", "abcdef.0123456789abcdeF", "abcdef.\udcff"])
def test_another_token(token: str) -> None:
    assert refusal(TOKEN.to_secret(), token, NOW) == "the token is another one"


def test_what_is_no_token() -> None:
    with pytest.raises(JoinError, match="kube-system/x is no bootstrap token"):
        StoredToken.from_secret({"metadata": {"name": "x"}})
