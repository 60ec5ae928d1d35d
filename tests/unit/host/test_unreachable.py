from __future__ import annotations

import errno
import os
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from rke2.host.unreachable import reason_of


def key() -> ConnectionKey:
    return ConnectionKey("server", 9345, True, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), None, None, None)


REFUSED = OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
UNTRUSTED = ssl.SSLCertVerificationError(1, "certificate verify failed")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (aiohttp.ClientConnectorError(key(), REFUSED), "Connection refused"),
        (
            aiohttp.ClientConnectorSSLError(key(), ssl.SSLError(1, "wrong version number")),
            "wrong version number",
        ),
        (aiohttp.ClientConnectorCertificateError(key(), UNTRUSTED), "certificate verify failed"),
        (aiohttp.ClientConnectorError(key(), OSError("Multiple exceptions: …")), "Multiple exceptions: …"),
        (REFUSED, "Connection refused"),
        (aiohttp.ServerDisconnectedError(), "Server disconnected"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_reason(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


def test_two_attempts_fail_with_the_same_words() -> None:
    first, second = (aiohttp.ClientConnectorError(key(), REFUSED) for _ in range(2))
    assert str(first) != str(second)
    assert reason_of(first) == reason_of(second)
