"""Why a server was not reached, in the few words that are the same at every attempt."""

from __future__ import annotations

import ssl

import aiohttp

from rke2.host.clocks import about_time, refusal


def reason_of(error: BaseException) -> str:
    """The cause of `error`, an error of aiohttp or of the operating system.

    The text of a `ClientConnectorError` names the TLS context's address in memory, another one at each attempt:
    what is to be said once must not contain it.
    """
    cause: BaseException = error
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
    elif isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
    if isinstance(cause, ssl.SSLCertVerificationError) and about_time(cause):
        return refusal(cause)
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
