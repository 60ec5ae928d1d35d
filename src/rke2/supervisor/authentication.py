"""Who is asking: HTTP Basic, a TLS client certificate, or a bootstrap token.

Mirrors the supervisor reference §3.1: the first method that succeeds decides. RKE2 keeps the passwords of the passwd
file as scrypt hashes in memory. Here they are HMACs under a key that lives as long as the process: the file itself
holds them in the clear, so slow hashes would protect nothing and would let anybody burn 100 ms of CPU per request.
"""

from __future__ import annotations

import binascii
import hmac
import re
import secrets
import ssl
import time
from base64 import b64decode
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp.web import BaseRequest

from rke2.config.names import is_dns_name
from rke2.join.passwd import AGENT_GROUP, NODE_USER, SERVER_GROUP, SERVER_USER
from rke2.supervisor.earlier_certificate import EarlierCertificate
from rke2.supervisor.slots import Derived, Passwords, Slot
from rke2.supervisor.status import forbidden, not_authorized

AUTHENTICATED = "system:authenticated"
NODE_NAME_PREFIX = "system:node:"
NODES_GROUP = "system:nodes"
_BOOTSTRAP = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})", re.ASCII)


@dataclass(frozen=True)
class Identity:
    """An authenticated client."""

    name: str
    groups: frozenset[str]

    @classmethod
    def of(cls, name: str, groups: Iterable[str]) -> Identity:
        return cls(name, frozenset({*groups, AUTHENTICATED}))

    @property
    def node(self) -> str:
        """The node whose kubelet this is, empty if it is not a kubelet."""
        return self.name.removeprefix(NODE_NAME_PREFIX) if self.name.startswith(NODE_NAME_PREFIX) else ""


BootstrapTokens = Callable[[str, str], Awaitable[Identity | None]]
"""The identity of a bootstrap token, given its id and secret; None if there is no such token or no API yet."""


class Authenticator:
    """Tells identities apart.

    Args:
        passwords: those of servers and agents; what is in the slot decides.
        earlier: knows the certificates that the API server of this node has read before they were renewed.
    """

    def __init__(
        self, passwords: Slot[Passwords], bootstrap_tokens: BootstrapTokens, earlier: EarlierCertificate
    ) -> None:
        self._earlier = earlier
        self._salt = secrets.token_bytes(32)
        self._users = Derived(lambda: self._users_of(passwords.value), passwords)
        # A user that does not exist takes as long to refuse as a wrong password does.
        self._nobody = [secrets.token_bytes(32)]
        self._bootstrap_tokens = bootstrap_tokens

    def _users_of(self, passwords: Passwords) -> dict[str, tuple[list[bytes], Identity]]:
        """Digests of the passwords of each user, and whom they make of the client."""
        servers, agents = [passwords.passwd.server], [passwords.passwd.node, *passwords.agents]
        return {
            SERVER_USER: (self._digests(servers), Identity.of(SERVER_USER, [SERVER_GROUP])),
            NODE_USER: (self._digests(agents), Identity.of(NODE_USER, [AGENT_GROUP])),
        }

    async def require(self, request: BaseRequest, groups: frozenset[str]) -> Identity:
        """The client's identity, if it is in one of `groups`.

        Raises:
            StatusError: 401 for credentials that are wrong, 403 for none or for those of somebody else.
        """
        identity = await self.authenticate(request)
        if identity is None:
            raise not_authorized() if offers_credentials(request) else forbidden()
        if not identity.groups & groups:
            raise forbidden()
        return identity

    async def authenticate(self, request: BaseRequest) -> Identity | None:
        """The client's identity, None if it has none that is valid."""
        header = request.headers.get("Authorization", "")
        # In RKE2's order (supervisor reference §3.1); what costs a question to the API server comes last.
        known = self._basic(header) or certificate_identity(_peer(request)) or self._renewed(request)
        return known or await self._bearer(header)

    def _renewed(self, request: BaseRequest) -> Identity | None:
        """The API server with a certificate that has ended and was renewed."""
        shown = _shown(request)
        subject = self._earlier.subject(shown) if shown else None
        return Identity.of(subject.common_name, [subject.organization]) if subject else None

    def _basic(self, header: str) -> Identity | None:
        credentials = parse_basic(header)
        if credentials is None:
            return None
        name, password = credentials
        expected, identity = self._users.value.get(name, (self._nobody, None))
        given = self._digest(password)
        return identity if any(hmac.compare_digest(given, each) for each in expected) else None

    def refuses_password(self, request: BaseRequest) -> bool:
        """Whether `request` shows a password that is not right; a certificate may have let it in all the same."""
        header = request.headers.get("Authorization", "")
        return parse_basic(header) is not None and self._basic(header) is None

    async def _bearer(self, header: str) -> Identity | None:
        token = parse_bearer(header)
        return await self._bootstrap_tokens(*token) if token else None

    def _digests(self, passwords: Iterable[str]) -> list[bytes]:
        return [self._digest(password) for password in passwords]

    def _digest(self, password: str) -> bytes:
        return hmac.digest(self._salt, password.encode(errors="surrogateescape"), "sha256")


def offers_credentials(request: BaseRequest) -> bool:
    """Whether there are any, right or wrong."""
    return "Authorization" in request.headers or bool(_peer(request))


def parse_basic(header: str) -> tuple[str, str] | None:
    """User and password of an ``Authorization`` header, None if it is not a Basic one."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (name, password) if colon else None


def parse_bearer(header: str) -> tuple[str, str] | None:
    """Id and secret of a bootstrap token in an ``Authorization`` header, None if there is none."""
    scheme, _, token = header.partition(" ")
    match = _BOOTSTRAP.fullmatch(token.strip()) if scheme.lower() == "bearer" else None
    return (match[1], match[2]) if match else None


def presented(request: BaseRequest) -> Identity | None:
    """Whom the client's certificate names, whatever else the client authenticates with; None without a valid one."""
    return certificate_identity(_peer(request))


def _shown(request: BaseRequest) -> bytes | None:
    """The client certificate as it came (DER); None if there is none."""
    tls = request.transport.get_extra_info("ssl_object") if request.transport else None
    return tls.getpeercert(binary_form=True) if tls else None


def _peer(request: BaseRequest) -> Mapping[str, Any]:
    """The client certificate, which the TLS layer has verified but for its dates; empty if there is none."""
    tls = request.transport.get_extra_info("ssl_object") if request.transport else None
    return (tls.getpeercert() if tls else None) or {}


def certificate_identity(peer: Mapping[str, Any]) -> Identity | None:
    """Common name and organizations of a certificate that the client CA has signed; None out of its dates.

    The handshake leaves the dates alone: a kubelet whose certificate has expired must be able to ask for a new one
    with its token, and a connection may outlive the certificate.

    A certificate with several common names is nobody's: Kubernetes goes by the last one, others by the first, and
    whoever asks for such a certificate hopes that two programs disagree. Each organization is a group.
    """
    # At each request: a connection may be older than the end of the certificate that opened it.
    if not peer or not _in_time(peer, time.time()):
        return None
    attributes = [attribute for relative_name in peer["subject"] for attribute in relative_name]
    names = [value for key, value in attributes if key == "commonName"]
    groups = [value for key, value in attributes if key == "organizationName"]
    return Identity.of(names[0], groups) if len(names) == 1 and _is_valid(names[0]) else None


def _is_valid(name: str) -> bool:
    """What follows ``system:node:`` goes into paths, events and the log, so it has to be what a Node may be called."""
    return bool(name) and (
        not name.startswith(NODE_NAME_PREFIX) or is_dns_name(name.removeprefix(NODE_NAME_PREFIX))
    )


def _in_time(peer: Mapping[str, Any], now: float) -> bool:
    begin, end = (ssl.cert_time_to_seconds(peer[key]) for key in ("notBefore", "notAfter"))
    return begin <= now <= end
