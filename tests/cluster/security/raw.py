"""A client of port 9345 that is not the product's: sockets and TLS of the standard library, and bytes.

Run on a host of the lab, as text (``python -c``): reads jobs as JSON from standard input, prints their outcomes.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def tls(pem: str) -> ssl.SSLContext:
    """Takes any server; shows the client certificate in `pem`, if there is one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if pem:
        fd = os.memfd_create("client")  # OpenSSL reads certificates from files only
        os.write(fd, pem.encode())
        context.load_cert_chain(f"/proc/self/fd/{fd}")
        os.close(fd)
    return context


def talk(job: dict[str, Any]) -> dict[str, Any]:
    """Connect, send the parts of `job` one after the other, and read until the end or until its seconds are over."""
    began, received = time.monotonic(), bytearray()
    ended, error, served = False, "", b""
    try:
        with socket.create_connection((job["server"], job["port"]), timeout=10) as plain:
            connection = plain
            if job["tls"]:
                connection = tls(job["pem"]).wrap_socket(plain, server_hostname=job["sni"] or None)
                served = connection.getpeercert(binary_form=True) or b""
            # Who refuses a request may answer and close before it has read everything.
            with contextlib.suppress(OSError):
                for pause, part in job["parts"]:
                    time.sleep(pause)
                    connection.sendall(base64.b64decode(part))
            ended = read(connection, received, began + job["seconds"])
    except OSError as failure:
        error = f"{type(failure).__name__}: {failure}"
    return {
        "received": base64.b64encode(received).decode(),
        "ended": ended or bool(error),
        "error": error,
        "seconds": time.monotonic() - began,
        "served": base64.b64encode(served).decode(),
    }


def read(connection: socket.socket, received: bytearray, deadline: float) -> bool:
    """Whether the other side closed the connection before `deadline`."""
    while (left := deadline - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            some = connection.recv(65536)
        except TimeoutError:
            return False
        if not some:
            return True
        received += some
    return False


if __name__ == "__main__":
    order = json.load(sys.stdin)
    with ThreadPoolExecutor(order["at_once"]) as threads:
        json.dump(list(threads.map(talk, order["jobs"])), sys.stdout)
