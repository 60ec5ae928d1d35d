"""Runs inside a test host: makes calls to the API server at a steady rate and notes how long each took.

Usage: python -m tests.bench.calls KUBECONFIG PER_SECOND, until standard input is closed. Reads a Secret and changes a
ConfigMap in turn, each on a connection that stays open. Prints one JSON object: kind of call to pairs of the Unix time
at which it was due and the seconds from then to its answer. A call that had to wait for the one before it has waited.
"""

from __future__ import annotations

import base64
import http.client
import json
import select
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from rke2_lab.host import LabHost

NAMESPACE = "/api/v1/namespaces/default"
NAME = "bench-calls"
READ, WRITE = "read a Secret", "change a ConfigMap"
Calls = dict[str, list[tuple[float, float]]]


class Connection:
    """One to the API server that a kubeconfig names, as its user; kept open."""

    def __init__(self, kubeconfig: Path) -> None:
        document = yaml.safe_load(kubeconfig.read_text())
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        tls = ssl.create_default_context(
            cadata=base64.b64decode(cluster["certificate-authority-data"]).decode()
        )
        with tempfile.NamedTemporaryFile() as pair:
            for key in ("client-certificate-data", "client-key-data"):
                pair.write(base64.b64decode(user[key]))
            pair.flush()
            tls.load_cert_chain(pair.name)
        self._http = http.client.HTTPSConnection(urlsplit(cluster["server"]).netloc, context=tls, timeout=60)

    def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> int:
        """The status of the answer."""
        text = None if body is None else json.dumps(body)
        self._http.request(method, path, text, {"Content-Type": kind})
        answer = self._http.getresponse()
        answer.read()
        return answer.status


@contextmanager
def calling(host: LabHost, kubeconfig: Path, per_second: float) -> Iterator[Calls]:
    """Make calls from `host` during the block; what became of them is there afterwards."""
    command = [host.python, "-m", "tests.bench.calls", str(kubeconfig), str(per_second)]
    root, pipe, calls = str(Path(__file__).parents[2]), subprocess.PIPE, Calls()
    with host.popen(command, env={"PYTHONPATH": root}, text=True, stdin=pipe, stdout=pipe) as process:
        assert process.stdout
        assert process.stdout.readline() == "calling\n"
        try:
            yield calls
        finally:
            calls |= json.loads(process.communicate()[0])


def percentile(seconds: list[float], percent: int) -> float:
    return statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1]


def main(kubeconfig: str, per_second: str) -> None:
    kinds = {READ: Connection(Path(kubeconfig)), WRITE: Connection(Path(kubeconfig))}
    for path, data in (("secrets", {"stringData": {"a": "b"}}), ("configmaps", {"data": {"a": "b"}})):
        kinds[READ].call("POST", f"{NAMESPACE}/{path}", {"metadata": {"name": NAME}, **data})
    print("calling", flush=True)
    pause, calls, due, number = 1 / float(per_second), Calls({kind: [] for kind in kinds}), time.time(), 0
    while not select.select([sys.stdin], [], [], max(0.0, due - time.time()))[0]:
        kind = (READ, WRITE)[number % 2]
        _make(kind, kinds[kind], number)
        calls[kind].append((due, time.time() - due))
        due, number = due + pause, number + 1
    print(json.dumps(calls))


def _make(kind: str, connection: Connection, number: int) -> None:
    if kind == READ:
        status = connection.call("GET", f"{NAMESPACE}/secrets/{NAME}")
    else:
        change = {"data": {"number": str(number)}}
        path, patch = f"{NAMESPACE}/configmaps/{NAME}", "application/merge-patch+json"
        status = connection.call("PATCH", path, change, patch)
    assert status == 200, f"{kind}: {status}"


if __name__ == "__main__":
    main(*sys.argv[1:])
