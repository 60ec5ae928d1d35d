"""Whose certificate an endpoint may show: the system's authorities, those of ``etcd-s3-endpoint-ca``, or anybody's."""

from __future__ import annotations

import base64
import binascii
import ssl
from pathlib import Path

from rke2.config.model import S3Settings
from rke2.errors import S3Error
from rke2.registry.source import trust_the_system

_PEM = b"-----BEGIN CERTIFICATE-----"


def context_of(settings: S3Settings) -> ssl.SSLContext:
    """What connections to the endpoint are made with; ``etcd-s3-skip-ssl-verify`` wins over a CA, as in RKE2.

    Raises:
        S3Error: the CA cannot be read.
    """
    context = ssl.create_default_context()
    trust_the_system(context)
    if settings.skip_verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context
    # Python 3.13 wants more of a CA than RKE2 does: authorities that people made by hand lack key identifiers.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    for part in settings.endpoint_ca.split():
        _load(context, _bundle(part))
    if settings.endpoint_ca_pem:
        _load(context, settings.endpoint_ca_pem.encode())
    return context


def _bundle(part: str) -> bytes:
    """One part of the flag: PEM in base64 or, failing that, a path."""
    try:
        decoded = base64.b64decode(part, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if _PEM in decoded:
        return decoded
    try:
        return Path(part).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", "") or str(error)
        raise _unusable(f"{_short(part)}: {reason}") from error


def _load(context: ssl.SSLContext, bundle: bytes) -> None:
    if _PEM not in bundle:
        raise _unusable("it holds no PEM certificate")
    try:
        context.load_verify_locations(cadata=bundle.decode("ascii", errors="ignore"))
    except (ssl.SSLError, ValueError) as error:
        raise _unusable(str(error)) from error


def _short(text: str, longest: int = 80) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


def _unusable(reason: str) -> S3Error:
    return S3Error(
        f"no certificates loaded from etcd-s3-endpoint-ca: {reason}",
        "give the path of a PEM file, or PEM in base64 on one line",
    )
