"""Uses the API through an agent's load balancer, all the time; runs on the agent.

Usage: caller.py URL CA CERTIFICATE KEY NODE. ``answers`` once the first call was answered. Then a line for every call
that failed: Unix time of its end, and why. At the end of standard input: ``<number> calls``.
"""

from __future__ import annotations

import http.client
import json
import ssl
import sys
import threading
import time
from urllib.parse import urlsplit

WORKERS = 4
INTERVAL = 0.1
TIMEOUT = 5.0


class Caller:
    """Keeps one connection, as a client does, and opens another when that fails."""

    def __init__(self, address: str, tls: ssl.SSLContext, node: str) -> None:
        self._address, self._tls, self._node = address, tls, node
        self._connection: http.client.HTTPSConnection | None = None
        self.calls = 0

    def call(self) -> str:
        """Read from etcd, by the API; every tenth time write. What failed, empty if nothing."""
        self.calls += 1
        method, path, body = "GET", f"/api/v1/nodes/{self._node}", None
        if self.calls % 10 == 0:
            method, path, body = "POST", "/api/v1/namespaces/default/events", json.dumps(_event(self._node))
        try:
            if self._connection is None:
                self._connection = http.client.HTTPSConnection(
                    self._address, context=self._tls, timeout=TIMEOUT
                )
            self._connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection = None
            return f"{method}: {error!r}"
        return "" if answer.status < 300 else f"{method}: {answer.status} {text[:200]!r}"


def _event(node: str) -> dict[str, object]:
    about = {"kind": "Node", "name": node}
    return {
        "metadata": {"generateName": "caller-"},
        "involvedObject": about,
        "reason": "Called",
        "type": "Normal",
    }


def main(url: str, ca: str, certificate: str, key: str, node: str) -> None:
    tls = ssl.create_default_context(cafile=ca)
    tls.load_cert_chain(certificate, key)
    callers = [Caller(urlsplit(url).netloc, tls, node) for _ in range(WORKERS)]
    while problem := callers[0].call():
        print(problem, file=sys.stderr)
        time.sleep(INTERVAL)
    print("answers", flush=True)
    end = threading.Event()
    threads = [threading.Thread(target=_work, args=(caller, end)) for caller in callers]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    end.set()
    for thread in threads:
        thread.join()
    print(f"{sum(caller.calls for caller in callers)} calls")


def _work(caller: Caller, end: threading.Event) -> None:
    while not end.wait(INTERVAL):
        if problem := caller.call():
            print(f"{time.time():.2f} {problem}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
