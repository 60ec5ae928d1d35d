"""Who is asking: HTTP Basic against the passwd file, or a TLS client certificate.

Mirrors the supervisor reference §3.1. Passwords are kept as keyed hashes and compared in constant time.
"""

from __future__ import annotations

import binascii
import hmac
import secrets
import ssl
import time
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp.web import BaseRequest

from rke2.join.passwd import AGENT_GROUP, NODE_USER, SERVER_GROUP, SERVER_USER, Passwd
from rke2.supervisor.status import forbidden, not_authorized

AUTHENTICATED = "system:authenticated"


@dataclass(frozen=True)
class Identity:
    """An authenticated client."""

    name: str
    groups: frozenset[str]

    @classmethod
    def of(cls, name: str, groups: Iterable[str]) -> Identity:
        return cls(name, frozenset({*groups, AUTHENTICATED}))


class Authenticator:
    """Tells identities apart; the first method that succeeds decides."""

    def __init__(self, passwd: Passwd) -> None:
        self._salt = secrets.token_bytes(32)
        self._users = {
            SERVER_USER: (self._digest(passwd.server), Identity.of(SERVER_USER, [SERVER_GROUP])),
            NODE_USER: (self._digest(passwd.node), Identity.of(NODE_USER, [AGENT_GROUP])),
        }
        self._nobody = secrets.token_bytes(32)

    def require(self, request: BaseRequest, groups: frozenset[str]) -> Identity:
        """The client's identity, if it is in one of `groups`.

        Raises:
            StatusError: 401 for wrong credentials, 403 for none or for those of somebody else.
        """
        identity = self.authenticate(request)
        if identity is None:
            raise not_authorized() if "Authorization" in request.headers else forbidden()
        if not identity.groups & groups:
            raise forbidden()
        return identity

    def authenticate(self, request: BaseRequest) -> Identity | None:
        """The client's identity, None if it has none that is valid."""
        return self._basic(request.headers.get("Authorization", "")) or certificate_identity(_peer(request))

    def _basic(self, header: str) -> Identity | None:
        credentials = parse_basic(header)
        if credentials is None:
            return None
        name, password = credentials
        expected, identity = self._users.get(name, (self._nobody, None))
        return identity if hmac.compare_digest(self._digest(password), expected) else None

    def _digest(self, password: str) -> bytes:
        return hmac.digest(self._salt, password.encode(), "sha256")


def parse_basic(header: str) -> tuple[str, str] | None:
    """User and password of an ``Authorization`` header, None if it is not a Basic one."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, password) if colon else None


def _peer(request: BaseRequest) -> Mapping[str, Any]:
    """The verified client certificate, empty if there is none."""
    tls = request.transport.get_extra_info("ssl_object") if request.transport else None
    return (tls.getpeercert() if tls else None) or {}


def certificate_identity(peer: Mapping[str, Any]) -> Identity | None:
    """Common name and organizations of a certificate that the TLS layer has verified against the client CA.

    Connections may outlive the certificate, so its end is looked at again on every request.
    """
    if not peer or ssl.cert_time_to_seconds(peer["notAfter"]) < time.time():
        return None
    attributes = [attribute for relative_name in peer["subject"] for attribute in relative_name]
    name = next((value for key, value in attributes if key == "commonName"), "")
    groups = [value for key, value in attributes if key == "organizationName"]
    return Identity.of(name, groups) if name else None
