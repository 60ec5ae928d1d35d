"""A joining node's client of the supervisor: first trust, then requests.

Mirrors the supervisor reference §3.6 (trust), §5.4 (requests) and §2.9 (errors). `connect` decides whether the server
is the one that the token belongs to; the `Supervisor` it returns talks to no other. Nothing here repeats a request
that failed: when to try again is for the caller to decide. Where the reference leaves a choice: the bundle is always
that of the server that is asked, also for a joining server that has a CA on its disk.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from rke2.errors import ConfigError, JoinError
from rke2.join.bootstrap import BootstrapData
from rke2.join.tokens import ca_hash, parse_token
from rke2.join.transport import (
    SupervisorAnswer,
    SupervisorCredentials,
    cluster_trust,
    host_trust,
    no_trust,
    present,
    send,
)

log = logging.getLogger(__name__)

PREFIX = "/v1-rke2"
REQUEST_SECONDS = 10.0
BOOTSTRAP_SECONDS = 15.0
"""Servers read the answer of ``server-bootstrap`` from etcd first."""


@dataclass(frozen=True)
class Supervisor:
    """A server, or a load balancer in front of servers, whose CA is known; made by `connect`.

    Every method raises `JoinError`; its `status` is the HTTP status of the answer, 0 if there was none.
    """

    url: str
    credentials: SupervisorCredentials
    bundle: bytes | None
    """The server CA, or None where the machine trusts the server's certificate already."""

    # --- what agents ask for -----------------------------------------------------------------------
    async def config(self) -> dict[str, Any]:
        """The cluster's settings (see `rke2.join.cluster_config`)."""
        return self._object(await self.request("GET", f"{PREFIX}/config"), "config")

    async def apiservers(self) -> list[str]:
        """``address:port`` of every apiserver; may be empty."""
        found = self._json(await self.request("GET", f"{PREFIX}/apiservers"), "apiservers")
        if found is None:
            return []
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            raise self._nonsense("apiservers", "it is not a list of addresses")
        return found

    async def ready(self) -> None:
        """Return if the server's Kubernetes API is up; `JoinError` with status 503 if not yet."""
        await self.request("GET", f"{PREFIX}/readyz")

    async def certificates(self, file: str) -> bytes:
        """The PEM bundle ``client-ca.crt`` or ``server-ca.crt``."""
        return (await self.request("GET", f"{PREFIX}/{file}")).body

    async def sign(self, file: str, csr: bytes, headers: Mapping[str, str] | None = None) -> bytes:
        """Have a certificate issued.

        Args:
            file: ``serving-kubelet.crt``, ``client-kubelet.crt``, ``client-kube-proxy.crt`` or
                ``client-rke2-controller.crt``.
            csr: DER PKCS#10.
            headers: name, password and addresses of the node, for the kubelet's.

        Returns:
            PEM: the certificate, then its CA's.
        """
        answer = await self.request("POST", f"{PREFIX}/{file}", body=csr, headers=headers)
        return answer.body

    # --- what servers ask for ----------------------------------------------------------------------
    async def server_bootstrap(self) -> BootstrapData:
        """The cluster's CAs, keys and passwords."""
        path = f"{PREFIX}/server-bootstrap"
        answer = await self.request("GET", path, seconds=BOOTSTRAP_SECONDS)
        try:
            return BootstrapData.from_json(answer.body)
        except JoinError as error:
            raise self._nonsense("server-bootstrap", error.message) from error

    async def etcd_members(self) -> list[dict[str, Any]]:
        """The members of etcd as ``/db/info`` lists them (supervisor reference §2.5); empty lists may be absent."""
        members = self._object(await self.request("GET", "/db/info"), "/db/info").get("members") or []
        if not isinstance(members, list) or not all(isinstance(member, dict) for member in members):
            raise self._nonsense("/db/info", "members is not a list of objects")
        return members

    async def snapshot(self, request: bytes, seconds: float) -> bytes:
        """Have the server take, list or remove snapshots of its etcd (`rke2.snapshots.request`)."""
        headers = {"Content-Type": "application/json"}
        answer = await self.request("POST", "/db/snapshot", body=request, headers=headers, seconds=seconds)
        return answer.body

    async def verify_snapshot(self, request: bytes, seconds: float) -> bytes:
        """Have the server prove a snapshot of its etcd (ours)."""
        path, headers = f"{PREFIX}/snapshot/verify", {"Content-Type": "application/json"}
        return (await self.request("POST", path, body=request, headers=headers, seconds=seconds)).body

    async def encryption_status(self) -> dict[str, Any]:
        """What ``rke2 secrets-encrypt status`` shows (supervisor reference §10.2)."""
        path = "/v1-rke2/encrypt/status"
        return self._object(await self.request("GET", path), path)

    async def put(self, path: str, body: bytes, seconds: float) -> None:
        """Have the server do what the JSON in `body` says."""
        await self.request(
            "PUT", path, body=body, headers={"Content-Type": "application/json"}, seconds=seconds
        )

    # --- requests ----------------------------------------------------------------------------------
    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = REQUEST_SECONDS,
    ) -> SupervisorAnswer:
        """One request; if its client certificate is refused the same once more with the token only."""
        what, sent = f"{method} {self.url}{path}", {**self.credentials.headers(), **(headers or {})}
        # A context for each request, as the client certificate may have been renewed since; off the event
        # loop, as loading it reads files.
        tls = await asyncio.to_thread(self._context)
        presented = await asyncio.to_thread(present, tls, self.credentials.identity)
        try:
            return _accept(
                what, await send(method, self.url + path, tls, body=body, headers=sent, seconds=seconds)
            )
        except JoinError as error:
            if not (presented and self.credentials.token and _may_be_the_certificate(error)):
                raise
            log.info("%s; asking with the token only", error.message)
        # Another one: a context that has loaded a client certificate cannot be made to forget it.
        tls = await asyncio.to_thread(self._context)
        return _accept(
            what, await send(method, self.url + path, tls, body=body, headers=sent, seconds=seconds)
        )

    def _context(self) -> ssl.SSLContext:
        return host_trust() if self.bundle is None else cluster_trust(self.bundle)

    def _object(self, answer: SupervisorAnswer, what: str) -> dict[str, Any]:
        found = self._json(answer, what)
        if not isinstance(found, dict):
            raise self._nonsense(what, "it is not a JSON object")
        return found

    def _json(self, answer: SupervisorAnswer, what: str) -> Any:
        try:
            # RecursionError: JSON that is nested deeply enough ends Python's parser so, within MAX_ANSWER.
            return json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise self._nonsense(what, "it is not JSON") from error

    def _nonsense(self, what: str, why: str) -> JoinError:
        return JoinError(f"{self.url}: the answer to {what} is unusable: {why}", _REMEDY_PORT)


def _may_be_the_certificate(error: JoinError) -> bool:
    """A server that verifies in the TLS handshake refuses with an alert, or is gone before the alert is read."""
    cause = error.__cause__
    # ClientConnectorError is a ClientOSError, too: there was no
    # connection on which anything could be refused.
    broken = isinstance(cause, aiohttp.ClientOSError | aiohttp.ServerDisconnectedError)
    return error.status == HTTPStatus.UNAUTHORIZED or (
        broken and not isinstance(cause, aiohttp.ClientConnectorError)
    )


async def connect(url: str, token: str, user: str, *, identity: Path | None = None) -> Supervisor:
    """Find out whether the server at `url` is of the cluster that `token` belongs to (supervisor reference §3.6).

    Args:
        url: ``https://<host>:<port>``; a path is ignored. May be a local load balancer.
        token: any form of the grammar; empty if the node has only its certificate.
        user: ``node`` for agents, ``server`` for servers; overrides the user in the token.
        identity: client certificate to present with later requests, without ``.crt`` (``<agent>/client-kubelet``).

    Raises:
        JoinError: no answer, or the server is of another cluster; see `Supervisor` for its `status`.
    """
    base = _base(url)
    try:
        # Before anybody is asked: no server is needed to see that a token is malformed.
        parsed = parse_token(token) if token else None
        bundle = await _fetch_bundle(base)
        _compare(parsed.ca_hash if parsed else "", bundle)
    except (ConfigError, JoinError) as error:
        # A malformed token stays so; of an answer, or of none, the caller judges whether asking again helps.
        status, final = (error.status, error.final) if isinstance(error, JoinError) else (0, True)
        message = f"failed to validate connection to cluster at {base}: {error.message}"
        raise JoinError(message, error.remedy, status=status, final=final) from error
    return Supervisor(base, SupervisorCredentials(parsed, user, identity), bundle)


def _base(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.netloc:
        raise JoinError(f"{url!r} is not an https URL", "write server as https://<server>:9345", final=True)
    return f"https://{parts.netloc}"


async def _fetch_bundle(base: str) -> bytes | None:
    """The CA bundle the server claims and is verified by; None if the machine trusts its certificate already."""
    url = f"{base}/cacerts"
    what = f"GET {url}"
    try:
        tls = await asyncio.to_thread(host_trust)
        _accept(what, await send("GET", url, tls, seconds=REQUEST_SECONDS))
        return None
    except JoinError as error:
        # Nobody answers: to ask twice more would only wait twice more. Any answer, and a certificate that
        # this machine does not trust, lead on, as in RKE2.
        if error.status == 0 and not isinstance(error.__cause__, aiohttp.ClientSSLError):
            raise
        log.debug("%s", error)
    # Anybody's bundle, as far as is known: nothing secret is sent before the request below and `_compare`.
    bundle = _accept(what, await send("GET", url, no_trust(), seconds=REQUEST_SECONDS)).body
    try:
        context = cluster_trust(bundle)
    except (ssl.SSLError, ValueError) as error:
        raise JoinError(f"{what}: the answer holds no CA certificate", _REMEDY_PORT) from error
    # The server has a key that its bundle vouches for. Whether
    # that is the cluster's bundle, the token's hash tells.
    _accept(what, await send("GET", url, context, seconds=REQUEST_SECONDS))
    return bundle


def _compare(expected: str, bundle: bytes | None) -> None:
    if bundle is None:
        # As in RKE2 (supervisor reference §3.6): such a server shows no bundle of which a hash could be made.
        if expected:
            _warn_once(
                "This machine trusts the server's certificate; the CA hash in the token is not looked at"
            )
    elif not expected:
        _warn_once(
            "The token has no CA hash: nothing proves that this server is the right one. "
            "Use the full token from the server's file node-token"
        )
    elif expected != ca_hash(bundle):
        raise JoinError(
            f"token CA hash does not match the Cluster CA certificate hash: {expected} != {ca_hash(bundle)}",
            "copy the token of the cluster this server belongs to; after a rotation of its CAs the hash is new",
            final=True,
        )


@functools.lru_cache(maxsize=64)
def _warn_once(message: str) -> None:
    """A node asks many times; what it should have been told of its token is said once."""
    log.warning(message)


# --- answers ---------------------------------------------------------------------------------------
_REMEDY_PORT = "see that this is the port of an RKE2 server (9345)"
_REMEDIES = {
    401: "check token, it may have been changed: an agent needs what is in "
    "/var/lib/rancher/rke2/server/agent-token on a server of the cluster, a server what is in server/token",
    403: "check token: a server needs the server token, an agent the agent token if there is one",
    404: _REMEDY_PORT,
    429: "too many nodes ask at once; try again in a second",
    503: "the server is not ready yet; try again in a few seconds",
}
_REASON_LENGTH = 300


def _accept(what: str, answer: SupervisorAnswer) -> SupervisorAnswer:
    """`answer`, if it tells of success."""
    _tell_warnings(answer)
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        raise _refusal(what, answer)
    return answer


def _refusal(what: str, answer: SupervisorAnswer) -> JoinError:
    """The error that an answer other than success stands for."""
    # In the set: Python 3.11 raises TypeError when a number is looked for in the enumeration itself.
    phrase = HTTPStatus(answer.status).phrase if answer.status in set(HTTPStatus) else "unknown status"
    message = f"{what}: {answer.status} {phrase}"
    reason = _reason(answer.body)
    return JoinError(
        f"{message}: {reason}" if reason else message,
        _REMEDIES.get(answer.status, ""),
        status=answer.status,
        said=reason,
    )


def _reason(body: bytes) -> str:
    """The message of a Status object, else the text itself, made fit for one line."""
    try:
        status = json.loads(body)
        text = str(status["message"]) if isinstance(status, dict) else ""
    except (ValueError, KeyError, RecursionError):
        text = body[: 2 * _REASON_LENGTH].decode(errors="replace")
    # Whoever answers may not be of the cluster yet: nothing of it is to begin another line of the log.
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:_REASON_LENGTH]


def _tell_warnings(answer: SupervisorAnswer) -> None:
    """``Warning: 299 - "text"`` of the API."""
    warning = answer.headers.get("Warning", "")
    if warning.startswith("299"):
        text = warning.partition(" - ")[2].strip('"')
        _warn_once(f"The server says: {text[:_REASON_LENGTH]}")
