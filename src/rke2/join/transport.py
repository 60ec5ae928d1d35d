"""One HTTPS request to a supervisor: a connection of its own, bounded in time and size, redirects not followed."""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import aiohttp
from cryptography import x509

from rke2.errors import JoinError
from rke2.host.clocks import about_time
from rke2.host.unreachable import reason_of
from rke2.join import skew
from rke2.join.tokens import BootstrapToken, Token
from rke2.pki.pem import certificate_path, key_path
from rke2.version import VERSION

log = logging.getLogger(__name__)

MAX_ANSWER = 4 << 20
"""Bytes; the largest real answer, the bootstrap map, has some ten thousand."""


@dataclass(frozen=True)
class SupervisorAnswer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class SupervisorCredentials:
    """Who asks: a token as `user` (``node`` or ``server``), and a client certificate where one can be loaded.

    The role overrides the user that the token names. `identity` is a certificate's path without ``.crt``.
    """

    token: Token | None
    user: str
    identity: Path | None = None

    def headers(self) -> dict[str, str]:
        if self.token is None:
            return {}
        if isinstance(self.token, BootstrapToken):
            return {"Authorization": f"Bearer {self.token.id}.{self.token.secret}"}
        basic = base64.b64encode(f"{self.user}:{self.token.password}".encode()).decode()
        return {"Authorization": f"Basic {basic}"}


# --- TLS -------------------------------------------------------------------------------------------
def host_trust() -> ssl.SSLContext:
    """Verifies with the CAs that this machine trusts."""
    return ssl.create_default_context()


def no_trust() -> ssl.SSLContext:
    """Verifies nothing: good only for asking which CA the server has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # In this order: `ssl` refuses CERT_NONE as long as names are checked.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def cluster_trust(bundle: bytes) -> ssl.SSLContext:
    """Verifies with the certificates of `bundle` only, each of which is an anchor, intermediate ones too (as in Go).

    Not the default context: newer Pythons make that one refuse the CAs of RKE2 (serial number 0, no key identifier).

    Raises:
        ssl.SSLError, ValueError: `bundle` holds no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=bundle.decode())
    return context


def present(context: ssl.SSLContext, identity: Path | None) -> bool:
    """Offer the client certificate `identity`; False if there is none that is valid and can be loaded."""
    if identity is None or not _valid(certificate_path(identity)):
        return False
    try:
        context.load_cert_chain(certificate_path(identity), key_path(identity))
    except (OSError, ssl.SSLError) as error:
        log.warning("%s cannot be used: %s; asking with the token only", certificate_path(identity), error)
        return False
    return True


def _valid(path: Path) -> bool:
    """An expired certificate would end the handshake with servers that verify in it."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return False
    return certificate.not_valid_before_utc <= datetime.now(UTC) < certificate.not_valid_after_utc


# --- the request -----------------------------------------------------------------------------------
async def send(
    method: str,
    url: str,
    tls: ssl.SSLContext,
    *,
    seconds: float,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> SupervisorAnswer:
    """Send a request and read its whole answer, whatever its status.

    Raises:
        JoinError: no complete answer within `seconds`, or one larger than `MAX_ANSWER`. Its cause is the error of
            the TLS layer if that refused the server; its status is 401 if the server's refused our certificate.
    """
    what = f"{method} {url}"
    # Nothing is unpacked here or below: an answer of some KiB could become one beyond MAX_ANSWER.
    sent = {"User-Agent": f"rke2/{VERSION}", "Accept-Encoding": "identity", **(headers or {})}
    connector = aiohttp.TCPConnector(ssl=tls, force_close=True)
    session = aiohttp.ClientSession(connector=connector, auto_decompress=False, trust_env=False)
    try:
        async with (
            asyncio.timeout(seconds),
            session,
            # A redirect would take a node's password, in a header that
            # aiohttp does not drop, wherever it points.
            session.request(method, url, headers=sent, data=body, allow_redirects=False) as response,
        ):
            return SupervisorAnswer(response.status, response.headers, await _read(response, what))
    except TimeoutError as error:
        # Caught before the rest: TimeoutError is an OSError.
        raise JoinError(f"{what}: no answer within {seconds:g} s", _REMEDY_NETWORK) from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise _untrusted(what, error, await _clocks(url, error)) from error
    except (aiohttp.ClientError, OSError, ssl.SSLError, ValueError) as error:
        raise _failure(what, error) from error


_REMEDY_NETWORK = "see that the server runs and that its port 9345 can be reached from here"


async def _read(response: aiohttp.ClientResponse, what: str) -> bytes:
    content = bytearray()
    # Counted as it comes: a Content-Length may be missing, or not be true.
    async for chunk in response.content.iter_chunked(1 << 16):
        content += chunk
        if len(content) > MAX_ANSWER:
            raise JoinError(f"{what}: the answer is larger than {MAX_ANSWER >> 20} MiB", _REMEDY_PORT)
    return bytes(content)


_REMEDY_PORT = "see that this is the port of an RKE2 server (9345)"


_CERTIFICATE_ALERT = re.compile(r"ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_|ACCESS_DENIED)")
"""What a server answers with that verifies client certificates in the handshake."""


def _failure(what: str, error: Exception) -> JoinError:
    # Whatever the exception: with TLS 1.3 our side of the handshake is over when the server looks at the
    # certificate, so its alert comes as an error of an open connection.
    if _CERTIFICATE_ALERT.search(str(error)):
        return JoinError(
            f"{what}: the server's TLS refuses this node's certificate", status=HTTPStatus.UNAUTHORIZED
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        return JoinError(f"{what}: {reason_of(error)}", _REMEDY_NETWORK)
    if isinstance(error, aiohttp.ClientResponseError | ValueError):
        return JoinError(f"{what}: the answer is not HTTP: {error}", _REMEDY_PORT)
    return JoinError(f"{what}: {error or type(error).__name__}", _REMEDY_NETWORK)


async def _clocks(url: str, error: aiohttp.ClientConnectorCertificateError) -> str:
    """How the clocks of both machines differ, where that is why a certificate was refused."""
    return skew.told(await skew.behind(url)) if about_time(error.certificate_error) else ""


def _untrusted(what: str, error: aiohttp.ClientConnectorCertificateError, clocks: str) -> JoinError:
    reason = getattr(error.certificate_error, "verify_message", "") or error.certificate_error
    message = f"{what}: the server's certificate is not trusted: {reason}"
    return JoinError(f"{message}; {clocks}" if clocks else message, _REMEDY_CERTIFICATE)


_REMEDY_CERTIFICATE = (
    "use a name or address of the server that is in its certificate (tls-san), and check the clocks"
)
