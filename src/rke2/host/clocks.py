"""Clocks that are wrong: what a certificate that is not valid at this moment mostly means."""

from __future__ import annotations

import ssl
from datetime import timedelta

NOT_YET_VALID, EXPIRED = 9, 10
"""OpenSSL's verify codes (X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED)."""

_WORDS = {
    NOT_YET_VALID: "its certificate is not yet valid by this machine's clock: set the clock",
    EXPIRED: "its certificate has expired, or this machine's clock is ahead",
}


def about_time(error: BaseException | None) -> bool:
    """Whether a certificate was refused for the moment in which it was shown."""
    return isinstance(error, ssl.SSLCertVerificationError) and getattr(error, "verify_code", 0) in _WORDS


def refusal(error: ssl.SSLCertVerificationError) -> str:
    """Why a certificate was refused; the same at every attempt."""
    return _WORDS.get(getattr(error, "verify_code", 0)) or getattr(error, "verify_message", "") or str(error)


def duration(span: timedelta) -> str:
    """A length of time in the two largest units, such as ``3h12m`` or ``2d5h``."""
    seconds = int(abs(span.total_seconds()))
    units = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
    parts: list[str] = []
    for unit, size in units:
        number, seconds = divmod(seconds, size)
        if number or parts:
            parts.append(f"{number}{unit}")
    return "".join(parts[:2]) or "0s"
