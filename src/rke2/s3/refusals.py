"""Why an object store did not do what it was asked to, in an operator's words.

The status alone tells nothing: there are stores that answer 404 to an access key they do not know. The code in the
body does, and an answer without one is not an object store's.
"""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp

from rke2.config.model import S3Settings
from rke2.errors import S3Error
from rke2.s3.answers import Refusal

_ACCESS = "correct etcd-s3-access-key"
_SECRET = "correct etcd-s3-secret-key"
_TOKEN = "renew etcd-s3-session-token with its keys"
_FULL = "remove snapshots or other objects there, or raise its limit"

_BY_CODE: dict[str, tuple[str, str]] = {
    "NoSuchBucket": (
        "bucket {bucket} does not exist",
        "correct etcd-s3-bucket, or make the bucket: rke2 makes none",
    ),
    "InvalidBucketName": ("{bucket!r} is not a valid name of a bucket", "correct etcd-s3-bucket"),
    "InvalidAccessKeyId": ("the access key is not known there", _ACCESS),
    "XAdminUserNotFound": ("the access key is not known there", _ACCESS),
    "XAdminNoSuchUser": ("the access key is not known there", _ACCESS),
    "SignatureDoesNotMatch": ("the secret key is not that of the access key", _SECRET),
    "AccessDenied": (
        "access to bucket {bucket} is denied",
        "allow the access key to list, read, write and delete there",
    ),
    "AllAccessDisabled": ("all access to bucket {bucket} is disabled", "ask who runs the object store"),
    "ExpiredToken": ("the session token has expired", _TOKEN),
    "InvalidToken": ("the session token is not valid", _TOKEN),
    "QuotaExceeded": ("bucket {bucket} is full", _FULL),
    "XAdminBucketQuotaExceeded": ("bucket {bucket} is full", _FULL),
    "XMinioAdminBucketQuotaExceeded": ("bucket {bucket} is full", _FULL),
    "XMinioStorageFull": ("the object store is full", _FULL),
    "InsufficientStorage": ("the object store is full", _FULL),
    "NoSuchKey": ("there is no such object in bucket {bucket}", "see `rke2 etcd-snapshot ls --s3`"),
    "PermanentRedirect": (
        "bucket {bucket} is at another endpoint",
        "correct etcd-s3-endpoint and etcd-s3-region",
    ),
    "TemporaryRedirect": (
        "bucket {bucket} is at another endpoint",
        "correct etcd-s3-endpoint and etcd-s3-region",
    ),
}
"""What the codes mean that an operator can do something about: words and remedy."""

_TEMPORARY = frozenset(
    {
        "SlowDown",
        "InternalError",
        "ServiceUnavailable",
        "RequestTimeout",
        "XAmzContentSHA256Mismatch",
        "BadDigest",
    }
)
_TEMPORARY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_FULL_STATUS = 507


def refused(
    settings: S3Settings, what: str, status: int, kind: str, date: str, told: Refusal | None
) -> S3Error:
    """The error of an answer that says no.

    Args:
        what: what was asked for, such as ``cannot list snapshots``.
        kind: content type.
        date: the answer's Date header.
        told: the error in the body.
    """
    where = f"{what}: {settings.endpoint}"
    temporary = status in _TEMPORARY_STATUS
    if told is None:
        return _untold(where, status, kind, temporary)
    code = told.code
    if code == "RequestTimeTooSkewed":
        words, remedy = _skewed(date), "set the clock, and keep it right with NTP"
    elif told.region and told.region != settings.region:
        words = f"the bucket is in region {told.region}, not {settings.region}"
        remedy = f"set etcd-s3-region to {told.region}"
    elif code in _BY_CODE:
        words, remedy = _BY_CODE[code]
        words = words.format(bucket=settings.bucket)
    else:
        words, remedy = told.message or f"HTTP {status}", ""
    return S3Error(f"{where}: {words} ({code})", remedy, code=code, temporary=temporary or code in _TEMPORARY)


def _untold(where: str, status: int, kind: str, temporary: bool) -> S3Error:
    if temporary or status == _FULL_STATUS:
        words = "the object store is full" if status == _FULL_STATUS else "it is not available now"
        remedy = _FULL if status == _FULL_STATUS else "see the log of the object store"
        return S3Error(f"{where}: {words} (HTTP {status})", remedy, temporary=temporary)
    return not_a_store(where, status, kind)


def not_a_store(where: str, status: int, kind: str) -> S3Error:
    """The error of an answer that no object store gives."""
    shown = f"HTTP {status}, {kind}" if kind else f"HTTP {status}"
    return S3Error(
        f"{where}: what answers there is not an S3 object store ({shown})",
        "correct etcd-s3-endpoint, and see whether a proxy answers in its place (etcd-s3-proxy)",
    )


def _skewed(date: str) -> str:
    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return "this host's clock differs too much from the object store's"
    seconds = (datetime.now(UTC) - theirs).total_seconds()
    side = "ahead of" if seconds > 0 else "behind"
    return f"this host's clock is {abs(seconds) / 60:.0f} minutes {side} the object store's"


def unreachable(settings: S3Settings, what: str, error: Exception) -> S3Error:
    """The error of a request without an answer."""
    where = f"{what}: {settings.endpoint}"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _untrusted(where, error.certificate_error)
    if isinstance(error, aiohttp.ClientSSLError):
        return S3Error(
            f"{where}: no TLS there: {error}", "an endpoint with plain http needs etcd-s3-insecure"
        )
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        return S3Error(
            f"{where}: the proxy does not let this through: {error}", "see etcd-s3-proxy", temporary=True
        )
    if isinstance(error, asyncio.TimeoutError):
        return S3Error(f"{where} does not answer", "see whether this host reaches it", temporary=True)
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error.strerror or str(error.os_error)
        return S3Error(f"{where} cannot be reached: {reason}", "see etcd-s3-endpoint", temporary=True)
    return S3Error(f"{where}: the connection broke off: {error}", temporary=True)


def _untrusted(where: str, error: BaseException) -> S3Error:
    reason = getattr(error, "verify_message", "") or str(error)
    remedy = "name its CA with etcd-s3-endpoint-ca"
    if isinstance(error, ssl.CertificateError) and "mismatch" in reason.lower():
        remedy = "use a name in etcd-s3-endpoint that is in the certificate"
    return S3Error(f"{where}: its certificate is not trusted: {reason}", remedy)
