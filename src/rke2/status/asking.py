"""Questions to components over HTTP: synchronous, with a limit, and answers to why there was no answer."""

from __future__ import annotations

import contextlib
import http.client
import ssl
from urllib.parse import SplitResult, urlsplit

from rke2.host.clocks import refusal

TIMEOUT = 2.0
"""Seconds a component has for its answer."""

FAILURES = (OSError, http.client.HTTPException)
"""What `ask` raises."""


def ask(
    url: str, context: ssl.SSLContext | None = None, body: str | None = None, *, timeout: float = TIMEOUT
) -> tuple[int, str]:
    """GET `url`, or POST `body` to it: status and body of the answer.

    Args:
        timeout: seconds for the connection, and for each part of the answer.

    What refuses on 127.0.0.1 is asked on ::1, where the components of a cluster of IPv6 alone listen.

    Raises:
        OSError: no connection, or no TLS.
        http.client.HTTPException: the answer is not HTTP.
    """
    where = urlsplit(url)
    try:
        return _ask(where, where.hostname or "", context, body, timeout)
    except ConnectionRefusedError:
        if where.hostname == "127.0.0.1":
            with contextlib.suppress(OSError):
                return _ask(where, "::1", context, body, timeout)
        raise


def _ask(
    where: SplitResult, host: str, context: ssl.SSLContext | None, body: str | None, timeout: float
) -> tuple[int, str]:
    path = where._replace(scheme="", netloc="").geturl()
    connection = (
        http.client.HTTPSConnection(host, where.port, timeout=timeout, context=context or _anyone())
        if where.scheme == "https"
        else http.client.HTTPConnection(host, where.port, timeout=timeout)
    )
    try:
        method = "GET" if body is None else "POST"
        connection.request(method, path, body, headers={"Accept": "application/json"})
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    finally:
        connection.close()


def _anyone() -> ssl.SSLContext:
    """Only loopback is asked, and nothing is sent: who answers there is the component or an intruder with root."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def reason(error: Exception) -> str:
    """Why there was no answer, in an operator's words."""
    match error:
        case ConnectionRefusedError():
            return "not running (nothing listens)"
        case FileNotFoundError():
            return "not running"
        case TimeoutError():
            return f"no answer within {TIMEOUT:.0f} s"
        case ssl.SSLCertVerificationError():
            return refusal(error)
        case _:
            return str(error) or type(error).__name__
