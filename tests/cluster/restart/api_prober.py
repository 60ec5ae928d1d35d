"""Calls the API again and again over new connections; prints what the first call became, then when that changes.

Usage: api_prober.py URL CA CERTIFICATE KEY, until standard input is closed, and then until it answers, for a while.
Each line after the first: Unix time, then ``answers`` or why it does not; for the last call, too.
"""

from __future__ import annotations

import http.client
import math
import select
import ssl
import sys
import time
from urllib.parse import urlsplit

INTERVAL = 0.05
TIMEOUT = 1.0
"""Seconds: an API server that ends takes no new request for as long, but does not say so."""
LAST_SECONDS = 30.0
"""On a machine that is busy the call at the end may be late, as any other."""


def main(url: str, ca: str, certificate: str, key: str) -> None:
    tls = ssl.create_default_context(cafile=ca)
    tls.load_cert_chain(certificate, key)
    address = urlsplit(url)
    known = _call(address.netloc, address.path, tls)
    print(known, flush=True)
    end = math.inf
    while known != ANSWERS or end == math.inf:
        if select.select([sys.stdin], [], [], INTERVAL)[0]:
            end = min(end, time.time() + LAST_SECONDS)
        at = time.time()
        if at > end:
            break
        if (now := _call(address.netloc, address.path, tls)) != known:
            # Away since the call began that failed; there again when one was answered.
            print(f"{time.time() if now == ANSWERS else at:.3f} {now}", flush=True)
            known = now
    print(f"{time.time():.3f} {known}", flush=True)


ANSWERS = "answers"


def _call(address: str, path: str, tls: ssl.SSLContext) -> str:
    """A read that goes to etcd."""
    connection = http.client.HTTPSConnection(address, context=tls, timeout=TIMEOUT)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return ANSWERS if answer.status == 200 else f"{answer.status}"
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    finally:
        connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
