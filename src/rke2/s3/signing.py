"""AWS Signature Version 4 of one request, in the ``Authorization`` header.

What is signed is what is sent: path and query string are encoded once, here, and used as they are.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

SERVICE = "s3"
EMPTY = hashlib.sha256(b"").hexdigest()
"""The hash of a request without a body."""
UNSIGNED = "UNSIGNED-PAYLOAD"
"""In place of a hash: the body is not part of what is signed. For TLS alone, where nobody else can change it."""

_ALGORITHM = "AWS4-HMAC-SHA256"
_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Credentials:
    """Who asks: an access key with its secret, and the session token of temporary ones."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


def encode_path(path: str) -> str:
    """`path` as it stands in a URL: everything but letters, digits, ``-._~`` and ``/`` is escaped."""
    return quote(path, safe="/-_.~")


def encode_query(pairs: Iterable[tuple[str, str]]) -> str:
    """A query string in the order and encoding that signatures want."""
    encoded = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def signed_headers(
    method: str,
    host: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body_hash: str,
    credentials: Credentials,
    region: str,
    now: datetime,
) -> dict[str, str]:
    """The headers to send: `headers`, and those that prove who asks.

    Args:
        host: as the Host header will have it, with the port if it is not the scheme's own.
        path: see `encode_path`.
        query: see `encode_query`.
        body_hash: SHA-256 of the body in hexadecimal, which the server compares with what arrives, or `UNSIGNED`.
    """
    stamp = now.astimezone(UTC).strftime(_TIME)
    sent = {
        **{name.lower(): " ".join(value.split()) for name, value in headers.items()},
        "x-amz-content-sha256": body_hash,
        "x-amz-date": stamp,
    }
    if credentials.session_token:
        sent["x-amz-security-token"] = credentials.session_token
    canonical = sorted({**sent, "host": host}.items())
    names = ";".join(name for name, _ in canonical)
    lines = "".join(f"{name}:{value}\n" for name, value in canonical)
    request = "\n".join((method, path, query, lines, names, body_hash))
    scope = f"{stamp[:8]}/{region}/{SERVICE}/aws4_request"
    to_sign = "\n".join((_ALGORITHM, stamp, scope, hashlib.sha256(request.encode()).hexdigest()))
    signature = hmac.new(_key(credentials, stamp[:8], region), to_sign.encode(), hashlib.sha256).hexdigest()
    credential = f"Credential={credentials.access_key}/{scope}"
    sent["authorization"] = f"{_ALGORITHM} {credential}, SignedHeaders={names}, Signature={signature}"
    return sent


def _key(credentials: Credentials, day: str, region: str) -> bytes:
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (day, region, SERVICE, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
